# Easel on the CPU. Build: docker build -t easel . Run: docker run -p 127.0.0.1:8188:8188 -v easel:/data easel
# The server listens on all addresses of the container, so it makes a token and prints the address with it.
FROM python:3.11-slim-bookworm AS packages

# Where PyTorch's builds for the CPU are, as pip's own variable: without it the image holds CUDA's libraries too.
ARG PIP_EXTRA_INDEX_URL
WORKDIR /build
COPY requirements.lock ./
# torch first and alone: its CPU build satisfies what the others ask for
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir "$(grep '^torch==' requirements.lock)" \
    && /venv/bin/pip install --no-cache-dir --requirement requirements.lock

FROM python:3.11-slim-bookworm

RUN useradd --uid 10001 --create-home easel && install --directory --owner=easel /data
COPY --from=packages /venv /venv
COPY . /easel
WORKDIR /easel
USER 10001
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
VOLUME ["/data"]
EXPOSE 8188
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["/venv/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8188/health', timeout=4)"]
ENTRYPOINT ["/venv/bin/python", "server.py", "--listen", "0.0.0.0", "--data-directory", "/data"]
CMD ["--port", "8188"]
