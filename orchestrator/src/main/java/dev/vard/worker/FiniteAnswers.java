package dev.vard.worker;

import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.EvaluateResponse;
import dev.vard.proto.v1.FitValueResponse;
import dev.vard.proto.v1.ImageChunk;
import dev.vard.proto.v1.ImprovePolicyResponse;
import dev.vard.proto.v1.PolicyStep;
import dev.vard.proto.v1.ValueQuality;
import dev.vard.proto.v1.WorkerError;
import java.util.Map;

/**
 * Lets only finite numbers through, on either road: a worker finds them out itself, but what a run
 * reports, and bounds its KL by, does not rest on the worker's word. R² and correlation may be NaN,
 * as {@code worker.proto} says.
 */
final class FiniteAnswers {
  private FiniteAnswers() {}

  static EvaluateResponse checked(EvaluateResponse response) {
    for (ValueQuality state : response.getByStateList()) {
      check(state.getMse(), "Evaluate: the value's error at timestep " + state.getTimestep());
    }
    return response;
  }

  static FitValueResponse checked(FitValueResponse response) {
    for (int i = 0; i < response.getLossesCount(); i++) {
      check(response.getLosses(i), "FitValue: the loss of step " + i);
    }
    return response;
  }

  static ImprovePolicyResponse checked(ImprovePolicyResponse response) {
    for (int i = 0; i < response.getStepsCount(); i++) {
      PolicyStep step = response.getSteps(i);
      check(step.getLoss(), "ImprovePolicy: the loss of step " + i);
      check(step.getKlPerTrajectory(), "ImprovePolicy: the KL of step " + i);
      check(step.getGradientNorm(), "ImprovePolicy: the gradient's norm of step " + i);
      for (Map.Entry<String, Double> metric : step.getMetricsMap().entrySet()) {
        check(metric.getValue(), "ImprovePolicy: the metric " + metric.getKey() + " of step " + i);
      }
    }
    check(response.getKlWeight(), "ImprovePolicy: the KL's weight");
    check(response.getScale(), "ImprovePolicy: the adapter's scale");
    for (int i = 0; i < response.getProbedKlCount(); i++) {
      check(response.getProbedKl(i), "ImprovePolicy: the measured KL " + i);
    }
    return response;
  }

  static ImageChunk checked(ImageChunk chunk) {
    for (int i = 0; i < chunk.getKlCount(); i++) {
      check(chunk.getKl(i), "Sample: the KL of image " + (chunk.getFirst() + i));
    }
    return chunk;
  }

  private static void check(double number, String name) {
    if (!Double.isFinite(number)) {
      throw WorkerException.refused(
          WorkerError.newBuilder()
              .setCode(ErrorCode.NOT_FINITE)
              .setMessage(
                  name
                      + " arrived as "
                      + number
                      + "; the worker lets no such number out: check that it runs the same version"
                      + " of vard")
              .build(),
          null);
    }
  }
}
