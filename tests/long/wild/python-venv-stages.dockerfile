FROM debian:12 AS base
ENV PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=off
WORKDIR /opt/app

FROM base AS builder
RUN python3 -m venv --without-pip --copies /opt/venv && rm -rf /opt/venv/lib64
ENV PATH="/opt/venv/bin:$PATH"
COPY requirements.txt .
RUN cp requirements.txt /opt/venv/installed.txt

FROM base AS runtime
RUN groupadd --gid 1000 app && useradd --uid 1000 --gid app --no-create-home --shell /usr/sbin/nologin app \
 && rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- && sed -i 's/^app:!:[0-9]*:/app:!:1:/' /etc/shadow
COPY --from=builder /opt/venv /opt/venv
COPY --chown=app:app app ./app
ENV PATH="/opt/venv/bin:$PATH"
USER app
HEALTHCHECK --interval=30s --timeout=3s --retries=3 CMD python3 -c "import urllib.request as u; u.urlopen('http://localhost:8000')"
ENTRYPOINT ["python3"]
CMD ["-m", "app.main"]
