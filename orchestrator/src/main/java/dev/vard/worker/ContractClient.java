package dev.vard.worker;

import dev.vard.proto.v1.CloseRequest;
import dev.vard.proto.v1.CloseResponse;
import dev.vard.proto.v1.DescribeRequest;
import dev.vard.proto.v1.DescribeResponse;
import dev.vard.proto.v1.EvaluateRequest;
import dev.vard.proto.v1.EvaluateResponse;
import dev.vard.proto.v1.ExportRequest;
import dev.vard.proto.v1.ExportResponse;
import dev.vard.proto.v1.FitValueRequest;
import dev.vard.proto.v1.FitValueResponse;
import dev.vard.proto.v1.ImageChunk;
import dev.vard.proto.v1.ImprovePolicyRequest;
import dev.vard.proto.v1.ImprovePolicyResponse;
import dev.vard.proto.v1.OpenRequest;
import dev.vard.proto.v1.OpenResponse;
import dev.vard.proto.v1.PlanRequest;
import dev.vard.proto.v1.PlanResponse;
import dev.vard.proto.v1.ReleaseRequest;
import dev.vard.proto.v1.ReleaseResponse;
import dev.vard.proto.v1.RestoreRequest;
import dev.vard.proto.v1.RestoreResponse;
import dev.vard.proto.v1.SampleRequest;
import dev.vard.proto.v1.SampleResponse;
import dev.vard.proto.v1.SampleSummary;
import dev.vard.proto.v1.SaveRequest;
import dev.vard.proto.v1.SaveResponse;
import dev.vard.proto.v1.WorkerServiceGrpc;
import io.grpc.MethodDescriptor;
import java.time.Duration;
import java.util.function.Consumer;

/**
 * What both roads have in common: the contract's requests. A road only carries a request there and
 * its answers back.
 */
abstract class ContractClient implements WorkerClient {

  /** Carries a request, and its one answer back. */
  abstract <Q, R> R call(MethodDescriptor<Q, R> method, Q request, Duration deadline);

  /** Carries a request, and each of its answers back to {@code answers}, on the calling thread. */
  abstract <Q, R> void stream(
      MethodDescriptor<Q, R> method, Q request, Consumer<R> answers, Duration deadline);

  @Override
  public DescribeResponse describe(DescribeRequest request, Duration deadline) {
    return call(WorkerServiceGrpc.getDescribeMethod(), request, deadline);
  }

  @Override
  public PlanResponse plan(PlanRequest request, Duration deadline) {
    return call(WorkerServiceGrpc.getPlanMethod(), request, deadline);
  }

  @Override
  public OpenResponse open(OpenRequest request, Duration deadline) {
    return call(WorkerServiceGrpc.getOpenMethod(), request, deadline);
  }

  @Override
  public SampleSummary sample(
      SampleRequest request, Consumer<ImageChunk> images, Duration deadline) {
    var reader = new SampleReader(request, images);
    stream(
        WorkerServiceGrpc.getSampleMethod(),
        request,
        (SampleResponse part) -> reader.accept(part),
        deadline);
    return reader.summary();
  }

  @Override
  public EvaluateResponse evaluate(EvaluateRequest request, Duration deadline) {
    return FiniteAnswers.checked(call(WorkerServiceGrpc.getEvaluateMethod(), request, deadline));
  }

  @Override
  public FitValueResponse fitValue(FitValueRequest request, Duration deadline) {
    return FiniteAnswers.checked(call(WorkerServiceGrpc.getFitValueMethod(), request, deadline));
  }

  @Override
  public ImprovePolicyResponse improvePolicy(ImprovePolicyRequest request, Duration deadline) {
    return FiniteAnswers.checked(
        call(WorkerServiceGrpc.getImprovePolicyMethod(), request, deadline));
  }

  @Override
  public ReleaseResponse release(ReleaseRequest request, Duration deadline) {
    return call(WorkerServiceGrpc.getReleaseMethod(), request, deadline);
  }

  @Override
  public SaveResponse save(SaveRequest request, Duration deadline) {
    return call(WorkerServiceGrpc.getSaveMethod(), request, deadline);
  }

  @Override
  public RestoreResponse restore(RestoreRequest request, Duration deadline) {
    return call(WorkerServiceGrpc.getRestoreMethod(), request, deadline);
  }

  @Override
  public ExportResponse export(ExportRequest request, Duration deadline) {
    return call(WorkerServiceGrpc.getExportMethod(), request, deadline);
  }

  @Override
  public CloseResponse close(CloseRequest request, Duration deadline) {
    return call(WorkerServiceGrpc.getCloseMethod(), request, deadline);
  }
}
