# A worker that serves gRPC. From the repository's root: docker build -f docker/worker.Dockerfile -t vard-worker .
# CI has no Docker engine, so it does not build this.
FROM python:3.11-slim

WORKDIR /opt/vard
COPY python-worker/requirements-uv.lock python-worker/requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements-uv.lock \
 && uv pip install --system --no-cache --require-hashes -r requirements.lock

COPY proto/src/main/protobuf proto
COPY python-worker/src src
RUN python -m grpc_tools.protoc -I proto --python_out=src --grpc_python_out=src vard/v1/worker.proto

# Any user id will do: compose runs it as the owner of runs/, who need not have a home here.
ENV PYTHONPATH=/opt/vard/src PYTHONSAFEPATH=1 HOME=/tmp
USER 1000:1000
WORKDIR /vard
EXPOSE 50051
HEALTHCHECK --start-period=120s --interval=5s --timeout=10s CMD ["python", "-c", "\
import grpc; from grpc_health.v1 import health_pb2, health_pb2_grpc; \
stub = health_pb2_grpc.HealthStub(grpc.insecure_channel('127.0.0.1:50051')); \
assert stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status == health_pb2.HealthCheckResponse.SERVING"]
# It asks for a way to tell its callers apart: --token-file, or --tls-cert, --tls-key and --client-ca.
ENTRYPOINT ["python", "-m", "vard_worker", "serve", "--host", "0.0.0.0", "--port", "50051"]
