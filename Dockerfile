# The service on a CPU. docs/service.md says how it is run.
FROM python:3.11-slim

WORKDIR /opt/faceset
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip install --no-cache-dir '/opt/faceset[service]' \
    && useradd --system --uid 10001 --create-home faceset \
    && install --directory --owner faceset --mode 700 /data

USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
ENV FACESET_OFFLINE=1 PYTHONUNBUFFERED=1

HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/v1/health', timeout=4)"]

# Reachable from outside the container, so it needs a key first:
#   docker run --rm -v faceset:/data faceset keys create NAME --data /data
ENTRYPOINT ["faceset"]
CMD ["serve", "--host", "0.0.0.0", "--data", "/data"]
