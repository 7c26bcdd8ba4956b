package dev.vard.worker;

import static dev.vard.worker.TestSession.PATIENCE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.proto.v1.ErrorCode;
import dev.vard.proto.v1.FitValueRequest;
import dev.vard.proto.v1.ImprovePolicyRequest;
import dev.vard.proto.v1.KlBudget;
import dev.vard.proto.v1.PlanRequest;
import dev.vard.proto.v1.PlanResponse;
import dev.vard.proto.v1.SampleRequest;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * The least and the most that the keys of a specification let a run send, and what is just beyond
 * both. {@code WorkerBoundsTest} holds the reader to the same numbers.
 */
abstract class BoundsContract extends WorkerBehaviour {
  private static final int RANK = 1024;
  private static final int TARGETS = 256;
  private static final int SIDE = 1 << 14;
  private static final int WIDTH = 1024;
  private static final int BATCH = 4096;
  private static final int TRAJECTORIES = 1 << 16;
  private static final int HELD = 1 << 24;
  private static final int PROMPT = 10_000;
  private static final int ID = 256;
  private static final int STEPS = 1_000_000;
  private static final int PAIRS = 1 << 24;
  private static final double RATE = 100;

  /** The tiny model's pictures come in multiples of it. */
  private static final int MULTIPLE = 4;

  /** Latents of two by two: those of one leave nothing to normalise in a batch of one. */
  private static final int LEAST_SIDE = 2 * MULTIPLE;

  /** The most that the tiny model draws. */
  private static final int MOST_SIDE = 1 << 13;

  /** The chain was trained for a thousand, of which DDIM leaves out the first. */
  private static final int LONGEST_CHAIN = 999;

  BoundsContract(WorkerClient client) {
    super(client);
  }

  // ------------------------------------------------------------------------------- sessions

  @Test
  void shouldTakeTheLeastOfASession() {
    PlanResponse plan =
        plan(
            request -> {
              request.getOpenBuilder().getModelBuilder().setHeight(LEAST_SIDE).setWidth(LEAST_SIDE);
              request.getOpenBuilder().getModelBuilder().getAdapterBuilder().setRank(1);
              request
                  .getOpenBuilder()
                  .getModelBuilder()
                  .getAdapterBuilder()
                  .setAlpha(Float.MIN_NORMAL);
              request.getOpenBuilder().getSamplerBuilder().setSteps(1).setGuidance(1).setEta(0);
              request.getOpenBuilder().getValueBuilder().setWidth(8);
              request.setSampleBatch(1).setValueBatch(1).setPolicyBatch(1);
              request.setTrajectories(1).setPrompts(1);
            });

    assertThat(plan.getImageShapeList()).containsExactly(LEAST_SIDE, LEAST_SIDE, 3);
  }

  @Test
  void shouldTakeTheMostOfASession() {
    PlanResponse plan =
        plan(
            request -> {
              request.getOpenBuilder().getModelBuilder().setHeight(MOST_SIDE).setWidth(MULTIPLE);
              request.getOpenBuilder().getModelBuilder().getAdapterBuilder().setRank(RANK);
              request.getOpenBuilder().getSamplerBuilder().setSteps(LONGEST_CHAIN).setEta(1);
              request.getOpenBuilder().getValueBuilder().setWidth(WIDTH);
              request.setSampleBatch(BATCH).setValueBatch(BATCH).setPolicyBatch(BATCH);
              request.setTrajectories(HELD).setPrompts(TRAJECTORIES);
            });

    assertThat(plan.getImageShapeList()).containsExactly(MOST_SIDE, MULTIPLE, 3);
  }

  @Test
  void shouldRefuseASessionBeyondItsBounds() {
    for (int rank : new int[] {0, RANK + 1}) {
      assertNotPlanned(
          "model.adapter.rank",
          plan -> plan.getOpenBuilder().getModelBuilder().getAdapterBuilder().setRank(rank));
    }
    assertNotPlanned(
        "model.adapter.alpha",
        plan -> plan.getOpenBuilder().getModelBuilder().getAdapterBuilder().setAlpha(0));
    for (int side : new int[] {MULTIPLE - 1, MOST_SIDE + MULTIPLE, SIDE, SIDE + 1}) {
      assertNotPlanned(
          "model.height", plan -> plan.getOpenBuilder().getModelBuilder().setHeight(side));
      assertNotPlanned(
          "model.width", plan -> plan.getOpenBuilder().getModelBuilder().setWidth(side));
    }
    for (int steps : new int[] {0, LONGEST_CHAIN + 1}) {
      assertNotPlanned(
          "sampler.steps", plan -> plan.getOpenBuilder().getSamplerBuilder().setSteps(steps));
    }
    assertNotPlanned(
        "sampler.guidance",
        plan -> plan.getOpenBuilder().getSamplerBuilder().setGuidance(Math.nextDown(1.0)));
    for (double eta : new double[] {-Double.MIN_VALUE, Math.nextUp(1.0)}) {
      assertNotPlanned(
          "sampler.eta", plan -> plan.getOpenBuilder().getSamplerBuilder().setEta(eta));
    }
    for (int width : new int[] {7, 9, WIDTH + 8}) {
      assertNotPlanned(
          "value.width", plan -> plan.getOpenBuilder().getValueBuilder().setWidth(width));
    }
    for (int batch : new int[] {0, BATCH + 1}) {
      assertNotPlanned("sample_batch", plan -> plan.setSampleBatch(batch));
      assertNotPlanned("value_batch", plan -> plan.setValueBatch(batch));
      assertNotPlanned("policy_batch", plan -> plan.setPolicyBatch(batch));
    }
    for (int trajectories : new int[] {0, HELD + 1}) {
      assertNotPlanned("trajectories", plan -> plan.setTrajectories(trajectories));
    }
    assertNotPlanned("prompts", plan -> plan.setPrompts(TRAJECTORIES + 1));
  }

  private PlanResponse plan(Consumer<PlanRequest.Builder> change) {
    PlanRequest.Builder request =
        PlanRequest.newBuilder()
            .setOpen(TestSession.openRequest(TinyModel.folder()))
            .setSampleBatch(2)
            .setValueBatch(8)
            .setPolicyBatch(8)
            .setTrajectories(16)
            .setPrompts(2);
    change.accept(request);
    return client.plan(request.build(), PATIENCE);
  }

  private void assertNotPlanned(String field, Consumer<PlanRequest.Builder> change) {
    assertInvalid(field, () -> plan(change));
  }

  /** The tiny model has fewer modules: as many names as a worker takes are looked for in it. */
  @Test
  void shouldLookForAsManyTargetsAsItTakes() {
    assertThat(refusal(TARGETS)).hasMessageContaining("module0 matches no module of the network");
    assertThat(refusal(TARGETS + 1)).hasMessageContaining("257 is above 256");
  }

  private WorkerException refusal(int targets) {
    return assertRefused(
        ErrorCode.INVALID_ARGUMENT,
        () ->
            plan(
                request ->
                    request
                        .getOpenBuilder()
                        .getModelBuilder()
                        .getAdapterBuilder()
                        .clearTargets()
                        .addAllTargets(
                            IntStream.range(0, targets).mapToObj(i -> "module" + i).toList())));
  }

  // ------------------------------------------------------------------------------- sampling

  @Test
  void shouldSampleUpToItsBounds() {
    try (var session = TestSession.open(client)) {
      SampleRequest.Builder most = session.looking(1).setBatch(BATCH);
      most.getTrajectoriesBuilder(0).setPrompt("é".repeat(PROMPT)).setId("i".repeat(ID));

      assertThat(session.sample(most)).hasSize(1);
      assertThat(session.sample(session.looking(1).setBatch(1))).hasSize(1);
      assertBegun(session.looking(TRAJECTORIES).setBatch(64));
      assertUsable(session, 0);
    }
  }

  @Test
  void shouldRefuseToSampleBeyondItsBounds() {
    try (var session = TestSession.open(client)) {
      SampleRequest.Builder prompt = session.looking(1);
      prompt.getTrajectoriesBuilder(0).setPrompt("é".repeat(PROMPT + 1));
      SampleRequest.Builder id = session.looking(1);
      id.getTrajectoriesBuilder(0).setId("i".repeat(ID + 1));

      assertInvalid("batch", () -> session.sample(session.looking(1).setBatch(0)));
      assertInvalid("batch", () -> session.sample(session.looking(1).setBatch(BATCH + 1)));
      assertInvalid("trajectories", () -> session.sample(session.looking(0)));
      assertInvalid("trajectories", () -> session.sample(session.looking(TRAJECTORIES + 1)));
      assertInvalid("trajectories.prompt", () -> session.sample(prompt));
      assertInvalid("trajectories.id", () -> session.sample(id));
      assertUsable(session, 0);
    }
  }

  /** Images come: to draw all of them would take minutes. */
  private void assertBegun(SampleRequest.Builder request) {
    var enough = new IllegalStateException("the first chunk is enough");
    assertThatThrownBy(
            () ->
                client.sample(
                    request.build(),
                    chunk -> {
                      throw enough;
                    },
                    PATIENCE))
        .isSameAs(enough);
  }

  // ------------------------------------------------------------------------------- training

  @Test
  void shouldTrainWithTheLeast() {
    try (var session = TestSession.open(client)) {
      session.sample(session.sampling(1, 1));

      session.evaluate(session.evaluating(1).setBatch(1));
      session.fit(
          session
              .fitting(2, 1)
              .setSteps(1)
              .setBatch(1)
              .setMicroBatch(1)
              .setLearningRate(Double.MIN_NORMAL)
              .setMaxGradientNorm(0));
      session.improve(
          session
              .improving(3, 1)
              .setSteps(1)
              .setBatch(1)
              .setMicroBatch(1)
              .setLearningRate(Double.MIN_NORMAL)
              .setFinalLearningRate(0)
              .setMaxGradientNorm(0)
              .setKlWeight(0));

      assertUsable(session, 3);
    }
  }

  /** Of trajectories that there are not: the numbers were let through, and nothing is computed. */
  @Test
  void shouldTrainWithTheMost() {
    try (var session = TestSession.open(client)) {
      for (int[] most : new int[][] {{STEPS, PAIRS / STEPS}, {PAIRS / BATCH, BATCH}}) {
        FitValueRequest.Builder fit =
            session
                .fitting(1, 1)
                .setSteps(most[0])
                .setBatch(most[1])
                .setMicroBatch(BATCH)
                .setLearningRate(RATE)
                .setMaxGradientNorm(Double.MAX_VALUE);
        ImprovePolicyRequest.Builder improve =
            session
                .improving(1, 1)
                .setSteps(most[0])
                .setBatch(most[1])
                .setMicroBatch(BATCH)
                .setLearningRate(RATE)
                .setFinalLearningRate(RATE)
                .setMaxGradientNorm(Double.MAX_VALUE)
                .setKlWeight(Double.MAX_VALUE)
                .setKlBudget(budget(session).setBatch(BATCH));

        assertRefused(ErrorCode.UNKNOWN_TRAJECTORY, () -> session.fit(fit));
        assertRefused(ErrorCode.UNKNOWN_TRAJECTORY, () -> session.improve(improve));
      }
      assertRefused(
          ErrorCode.UNKNOWN_TRAJECTORY,
          () -> session.evaluate(session.evaluating(1).setBatch(BATCH)));
      assertUsable(session, 0);
    }
  }

  @Test
  void shouldRefuseToTrainBeyondItsBounds() {
    try (var session = TestSession.open(client)) {
      for (int batch : new int[] {0, BATCH + 1}) {
        assertInvalid("batch", () -> session.evaluate(session.evaluating(1).setBatch(batch)));
        assertNotTrained(
            session, "batch", fit -> fit.setBatch(batch), improve -> improve.setBatch(batch));
        assertInvalid(
            "kl_budget.batch",
            () ->
                session.improve(
                    session.improving(1, 1).setKlBudget(budget(session).setBatch(batch))));
      }
      for (int micro : new int[] {-1, BATCH + 1}) {
        assertNotTrained(
            session,
            "micro_batch",
            fit -> fit.setMicroBatch(micro),
            improve -> improve.setMicroBatch(micro));
      }
      for (List<Integer> wrong :
          List.of(
              List.of(0, 1),
              List.of(STEPS + 1, 1),
              List.of(STEPS, PAIRS / STEPS + 1),
              List.of(PAIRS / BATCH + 1, BATCH))) {
        assertNotTrained(
            session,
            "steps",
            fit -> fit.setSteps(wrong.get(0)).setBatch(wrong.get(1)),
            improve -> improve.setSteps(wrong.get(0)).setBatch(wrong.get(1)));
      }
      for (double rate : new double[] {0, Math.nextUp(RATE)}) {
        assertNotTrained(
            session,
            "learning_rate",
            fit -> fit.setLearningRate(rate),
            improve -> improve.setLearningRate(rate));
      }
      for (double rate : new double[] {-Double.MIN_VALUE, Math.nextUp(RATE)}) {
        assertInvalid(
            "final_learning_rate",
            () -> session.improve(session.improving(1, 1).setFinalLearningRate(rate)));
      }
      assertNotTrained(
          session,
          "max_gradient_norm",
          fit -> fit.setMaxGradientNorm(-Double.MIN_VALUE),
          improve -> improve.setMaxGradientNorm(-Double.MIN_VALUE));
      assertInvalid(
          "kl_weight",
          () -> session.improve(session.improving(1, 1).setKlWeight(-Double.MIN_VALUE)));
      assertInvalid(
          "kl_budget.aim",
          () -> session.improve(session.improving(1, 1).setKlBudget(budget(session).setAim(0))));
      assertInvalid(
          "kl_budget.least",
          () ->
              session.improve(
                  session.improving(1, 1).setKlBudget(budget(session).setLeast(Math.nextUp(1.0)))));
      assertUsable(session, 0);
    }
  }

  private void assertNotTrained(
      TestSession session,
      String field,
      Consumer<FitValueRequest.Builder> fitting,
      Consumer<ImprovePolicyRequest.Builder> improving) {
    FitValueRequest.Builder fit = session.fitting(1, 1);
    fitting.accept(fit);
    ImprovePolicyRequest.Builder improve = session.improving(1, 1);
    improving.accept(improve);

    assertInvalid(field, () -> session.fit(fit));
    assertInvalid(field, () -> session.improve(improve));
  }

  private static KlBudget.Builder budget(TestSession session) {
    return session.held(1, 2).toBuilder();
  }
}
