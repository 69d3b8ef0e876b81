# The prediction service as a container, as Cloud Run takes it: the same entry point as the Cloud Function `service`.
#   docker build -t bqloop-service . && docker run -p 8080:8080 -e BQLOOP_ENV=prod bqloop-service
FROM python:3.11-slim

WORKDIR /app
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PORT=8080 WORKERS=2 THREADS=8

COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock

COPY sql ./sql
COPY etl ./etl
COPY deployment ./deployment
COPY functions ./functions
COPY infra/__init__.py ./infra/__init__.py
COPY infra/environments ./infra/environments

RUN useradd --system bqloop
USER bqloop
# One index a worker: take more threads before more workers where memory is short.
CMD ["sh", "-c", "exec gunicorn --bind :$PORT --workers $WORKERS --worker-class gthread --threads $THREADS --timeout 60 'functions_framework:create_app(target=\"service\", source=\"functions/main.py\", signature_type=\"http\")'"]
