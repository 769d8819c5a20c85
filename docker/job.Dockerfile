# Scoreline's own services in one image: job, scoring service, page, watcher, notifier, trainer, generator, topics, MLflow server. One lock file, one set of versions.
# Debian 12, because Debian 13 has no Java 17.
FROM python:3.11.14-slim-bookworm

# spark-submit checks with ps whether its JVM runs.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends openjdk-17-jre-headless procps \
    && rm -rf /var/lib/apt/lists/*

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/opt/scoreline/app \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/cache \
    SCORELINE_CACHE=/opt/scoreline/cache

WORKDIR /opt/scoreline/app

COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock

# The jars rarely change, so they come before the code, which often does.
COPY settings.py ./
COPY stack stack
RUN python -c "from stack.jars import connector_jars, lake_jars; connector_jars(); lake_jars()"

COPY docker/first_model.sh docker/page.sh docker/traffic.py docker/
COPY generator generator
COPY detection detection
COPY messaging messaging
COPY jobs jobs
COPY lake lake
COPY ml ml
COPY notifications notifications
COPY page page
COPY programs programs
COPY scoreline.py ./
COPY serving serving
COPY sinks sinks
COPY versions versions
COPY watch watch

# A named volume takes its owner from the folder that it is first mounted on.
RUN useradd --system --create-home --uid 10001 scoreline \
    && install --directory --owner=scoreline /cache /data /history /lake /mlflow /notify /page /scratch /serving /watch
USER scoreline
