# One image for every service of docker-compose.yml.

FROM python:3.11-slim AS build
RUN python -m venv /opt/cbmir
WORKDIR /source
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY plugin plugin
COPY workers workers
COPY web web
COPY migrations migrations
# such as hnsw, pgvector or milvus, for another index than the exact one
ARG EXTRAS=""
# pip reads it from the environment, which a build argument is
ARG PIP_EXTRA_INDEX_URL=""
RUN /opt/cbmir/bin/pip install --no-cache-dir --constraint constraints.txt "cbmir[$EXTRAS] @ file:///source"

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home cbmir \
    && install --directory --owner=cbmir --mode=0700 /data
COPY --from=build /opt/cbmir /opt/cbmir
ENV PATH=/opt/cbmir/bin:$PATH PYTHONUNBUFFERED=1 CBMIR_DATA=/data
USER cbmir
VOLUME /data
EXPOSE 8000
CMD ["cbmir", "--help"]
