package dev.vard.run;

import dev.vard.proto.v1.EvaluateResponse;
import dev.vard.proto.v1.ImprovePolicyRequest;
import dev.vard.proto.v1.ImprovePolicyResponse;
import dev.vard.proto.v1.PolicyStep;
import dev.vard.proto.v1.ValueQuality;

/** The numbers that a {@link FakeWorker} answers with. */
final class FakeAnswers {
  private FakeAnswers() {}

  static EvaluateResponse evaluation() {
    return EvaluateResponse.newBuilder()
        .addByState(
            ValueQuality.newBuilder()
                .setTimestep(751)
                .setMse(0.5)
                .setR2(Double.NaN)
                .setCorrelation(0.25))
        .addByState(ValueQuality.newBuilder().setTimestep(-1).setMse(0.125).setR2(0.75))
        .build();
  }

  /**
   * @param gradientNorm of the second step
   */
  static ImprovePolicyResponse improvement(ImprovePolicyRequest request, double gradientNorm) {
    ImprovePolicyResponse.Builder response = ImprovePolicyResponse.newBuilder();
    if (request.hasKlBudget()) {
      response
          .setKlWeight(1.1 * request.getKlWeight())
          .addProbedKl(12)
          .addProbedKl(9.5)
          .setScale(0.9);
    }
    return response
        .addSteps(PolicyStep.newBuilder().setLoss(100).setKlPerTrajectory(1))
        .addSteps(
            PolicyStep.newBuilder()
                .setLoss(-0.5)
                .putMetrics("objective", -0.75)
                .setKlPerTrajectory(20)
                .setGradientNorm(gradientNorm)
                .putMetrics("clipped", 0.1))
        .build();
  }
}
