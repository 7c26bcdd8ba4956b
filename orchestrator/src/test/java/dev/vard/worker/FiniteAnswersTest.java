package dev.vard.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.EvaluateResponse;
import dev.vard.proto.v1.FitValueResponse;
import dev.vard.proto.v1.ImageChunk;
import dev.vard.proto.v1.ImprovePolicyResponse;
import dev.vard.proto.v1.PolicyStep;
import dev.vard.proto.v1.ValueQuality;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

class FiniteAnswersTest {
  @Test
  void shouldNameTheNumberThatIsNotFinite() {
    PolicyStep good = PolicyStep.getDefaultInstance();
    assertRefused(
        "the KL of step 1",
        () ->
            FiniteAnswers.checked(
                ImprovePolicyResponse.newBuilder()
                    .addSteps(good)
                    .addSteps(good.toBuilder().setKlPerTrajectory(Double.POSITIVE_INFINITY))
                    .build()));
    assertRefused(
        "the metric odd of step 1",
        () ->
            FiniteAnswers.checked(
                ImprovePolicyResponse.newBuilder()
                    .addSteps(good)
                    .addSteps(good.toBuilder().putMetrics("odd", Double.NaN))
                    .build()));
    assertRefused(
        "the loss of step 0",
        () -> FiniteAnswers.checked(FitValueResponse.newBuilder().addLosses(Double.NaN).build()));
    assertRefused(
        "timestep 751",
        () -> FiniteAnswers.checked(quality(ValueQuality.newBuilder().setMse(Double.NaN))));
    assertRefused(
        "image 5",
        () ->
            FiniteAnswers.checked(
                ImageChunk.newBuilder().setFirst(4).addKl(0).addKl(Double.NaN).build()));
  }

  @Test
  void shouldLetThroughWhatHasNoValueByContract() {
    EvaluateResponse response =
        quality(ValueQuality.newBuilder().setR2(Double.NaN).setCorrelation(Double.NaN));

    assertThat(FiniteAnswers.checked(response)).isSameAs(response);
  }

  private static EvaluateResponse quality(ValueQuality.Builder state) {
    return EvaluateResponse.newBuilder().addByState(state.setTimestep(751)).build();
  }

  private static void assertRefused(String where, ThrowingCallable call) {
    WorkerException e = catchThrowableOfType(WorkerException.class, call);
    assertThat(e.code()).isEqualTo(ErrorCode.NOT_FINITE);
    assertThat(e).hasMessageContaining(where);
  }
}
