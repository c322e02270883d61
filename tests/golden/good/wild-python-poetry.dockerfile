FROM python:3.11 AS builder
ARG POETRY_VERSION=1.8.2
RUN pip install "poetry==$POETRY_VERSION"
WORKDIR /build
COPY pyproject.toml poetry.lock ./
RUN --mount=type=cache,target=/root/.cache/pypoetry \
    poetry export -f requirements.txt -o requirements.txt

FROM python:3.11-slim
RUN adduser --system --group app
COPY --from=builder /build/requirements.txt /tmp/
RUN pip install --no-cache-dir -r /tmp/requirements.txt && rm /tmp/requirements.txt
USER app
COPY --chown=app:app src /app
ENTRYPOINT ["python", "-m", "app"]
