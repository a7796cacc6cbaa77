"""Benchmarks of set-based face recognition: protocols, scoring, reports.

The models run once, in :mod:`faceset.extraction`, and leave a feature table. Everything here reads that table and the
official files of a protocol; no picture is looked at, no detector, embedder or torch is loaded.

1. :mod:`faceset.evaluation.protocols`: official files -> :class:`~faceset.evaluation.trials.Verification` and
   :class:`~faceset.evaluation.trials.Identification`.
2. :mod:`faceset.evaluation.run`: trials and features -> :class:`~faceset.evaluation.results.Report`.
3. :mod:`faceset.evaluation.page`: report -> one HTML page.
"""
