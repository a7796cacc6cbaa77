"""The gallery as a service: HTTP API, jobs for long videos, and a web page. ``docs/service.md`` describes it.

Pictures and videos are decoded, and models run, in a child process (:mod:`faceset.service.remote`); the galleries are
read and written here, by the same :class:`~faceset.gallery.Gallery` and :class:`~faceset.recognizer.Recognizer` as
everywhere else.
"""
