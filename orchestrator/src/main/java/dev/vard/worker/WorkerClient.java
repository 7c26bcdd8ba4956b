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
import dev.vard.proto.v1.SampleSummary;
import dev.vard.proto.v1.SaveRequest;
import dev.vard.proto.v1.SaveResponse;
import java.time.Duration;
import java.util.function.Consumer;

/**
 * A worker, as the orchestrator sees it: one method for each request of {@code worker.proto}, whose
 * comments specify what each does.
 *
 * <p>All methods block until the answer is whole. Every failure is a {@link WorkerException}.
 * Interrupting the calling thread cancels the request on the worker, which notices between two
 * denoising or gradient steps; the method then throws {@link WorkerException.Kind#CANCELLED} with
 * the thread's interrupt status set. A deadline counts from the call and is noticed likewise. A
 * request that failed, was cancelled or ran out of time changed nothing on the worker, unless only
 * its answer was lost: repeat it with the same operation number.
 *
 * <p>Thread-safe; a worker does one request of a session at a time.
 */
public interface WorkerClient extends AutoCloseable {
  DescribeResponse describe(DescribeRequest request, Duration deadline);

  PlanResponse plan(PlanRequest request, Duration deadline);

  OpenResponse open(OpenRequest request, Duration deadline);

  /**
   * Denoises trajectories.
   *
   * @param images takes each chunk as it arrives, in the request's order, on the calling thread,
   *     checked for shape and checksum. While it blocks the worker is held back, once the few
   *     chunks under way have arrived. If it throws, the request is cancelled and the exception
   *     goes to the caller.
   */
  SampleSummary sample(SampleRequest request, Consumer<ImageChunk> images, Duration deadline);

  EvaluateResponse evaluate(EvaluateRequest request, Duration deadline);

  FitValueResponse fitValue(FitValueRequest request, Duration deadline);

  ImprovePolicyResponse improvePolicy(ImprovePolicyRequest request, Duration deadline);

  ReleaseResponse release(ReleaseRequest request, Duration deadline);

  SaveResponse save(SaveRequest request, Duration deadline);

  RestoreResponse restore(RestoreRequest request, Duration deadline);

  ExportResponse export(ExportRequest request, Duration deadline);

  CloseResponse close(CloseRequest request, Duration deadline);

  /**
   * Ends this client and what it started: the connection, and the worker process if it is its own.
   */
  @Override
  void close();
}
