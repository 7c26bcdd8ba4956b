package dev.vard.run;

import dev.vard.proto.v1.PlanRequest;
import dev.vard.proto.v1.PlanResponse;
import dev.vard.spec.AlgorithmSpec.DdpoSpec;
import dev.vard.spec.AlgorithmSpec.VardSpec;
import dev.vard.spec.PolicySpec;
import dev.vard.spec.RunSpec;
import dev.vard.spec.ValueSpec;
import dev.vard.worker.WorkerClient;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeMap;

/**
 * What a run would load, train, ask for and need, told before anything of it is done. Bytes are the
 * worker's estimate, from the model's configurations.
 *
 * @param trainingQueries reward queries of training, at most
 * @param evaluationQueries and of all evaluations
 * @param denoisingSteps network passes of one image
 */
public record RunPlan(
    String name,
    Model model,
    List<Part> parts,
    Trained trained,
    Memory memory,
    int iterations,
    long trainingQueries,
    long evaluationQueries,
    int denoisingSteps,
    long valueSteps,
    long policySteps) {

  /**
   * Configurations of a large model are made into networks without numbers, one operator at a time.
   */
  private static final Duration DEADLINE = Duration.ofMinutes(10);

  /** What is loaded. */
  public record Model(
      String checkpoint,
      String family,
      String pipeline,
      String chain,
      double eta,
      String device,
      int imageWidth,
      int imageHeight) {}

  /**
   * A network of the pipeline.
   *
   * @param kind its class
   * @param offloaded on the device only while it is in use
   */
  public record Part(String name, String kind, long parameters, long bytes, boolean offloaded) {}

  /** What is trained. */
  public record Trained(
      List<String> targets, int adapterModules, long adapterParameters, long valueParameters) {
    public Trained {
      targets = List.copyOf(targets);
    }
  }

  /**
   * Bytes on the device.
   *
   * @param weights of all that stays there
   * @param trajectories wherever they are kept
   * @param phases what each part of an iteration needs on top, at its peak
   * @param policy of a policy step without gradient checkpointing
   * @param policyCheckpointed and with it; 0 where the network has none
   * @param peak the estimate
   */
  public record Memory(
      long weights,
      long optimizers,
      long trajectories,
      long encodings,
      Map<String, Long> phases,
      long policy,
      long policyCheckpointed,
      long peak) {
    public Memory {
      phases = Map.copyOf(phases);
    }
  }

  public RunPlan {
    parts = List.copyOf(parts);
  }

  /**
   * Asks a worker. Nothing is trained or scored.
   *
   * @throws dev.vard.worker.WorkerException for a model or settings that would not be opened either
   */
  public static RunPlan of(RunSpec spec, WorkerClient worker) {
    PlanResponse plan = worker.plan(request(spec), DEADLINE);
    int iterations = spec.iterations();
    int samples = spec.algorithm().samples();
    int warmup = warmup(spec);
    long valueSteps =
        switch (spec.algorithm()) {
          case VardSpec vard -> (long) iterations * vard.value().steps();
          case DdpoSpec ddpo -> 0;
        };
    return new RunPlan(
        spec.name(),
        new Model(
            spec.model().checkpoint(),
            plan.getFamily(),
            plan.getPipeline(),
            plan.getChain(),
            plan.getEta(),
            plan.getDevice(),
            plan.getImageShape(1),
            plan.getImageShape(0)),
        plan.getPartsList().stream().map(RunPlan::part).toList(),
        new Trained(
            plan.getTargetsList(),
            plan.getAdapterModules(),
            plan.getAdapterParameters(),
            plan.getValueParameters()),
        new Memory(
            plan.getWeightBytes(),
            plan.getOptimizerBytes(),
            plan.getTrajectoryBytes(),
            plan.getEncodingBytes(),
            new TreeMap<>(plan.getPhasesMap()),
            plan.getPolicyBytes(),
            plan.getPolicyCheckpointedBytes(),
            plan.getPeakBytes()),
        iterations,
        (long) iterations * samples,
        (long) spec.evaluations() * spec.evaluate().images(),
        spec.sampler().steps(),
        valueSteps,
        (long) Math.max(0, iterations - warmup) * spec.algorithm().policy().steps());
  }

  private static PlanRequest request(RunSpec spec) {
    int samples = spec.algorithm().samples();
    PolicySpec policy = spec.algorithm().policy();
    int largest = Math.max(samples, spec.evaluate().images());
    PlanRequest.Builder request =
        PlanRequest.newBuilder()
            .setOpen(new Requests("plan", 1, 1, spec).open())
            .setSampleBatch(Math.min(spec.sampler().batch(), largest))
            .setPolicyBatch(together(policy.microBatch(), policy.batch()))
            .setPrompts((int) Math.max(1, spec.prompts().stream().distinct().count()));
    switch (spec.algorithm()) {
      case VardSpec vard -> {
        ValueSpec value = vard.value();
        request
            .setValueBatch(together(value.microBatch(), value.batch()))
            .setTrajectories(samples * Math.max(1, value.replay()));
      }
      case DdpoSpec ddpo ->
          request.setValueBatch(1).setTrajectories(samples * (1 + ddpo.staleness()));
    }
    return request.build();
  }

  /** Pairs that go through the networks together. */
  private static int together(OptionalInt microBatch, int batch) {
    return Math.min(microBatch.orElse(batch), batch);
  }

  private static int warmup(RunSpec spec) {
    return switch (spec.algorithm()) {
      case VardSpec vard -> vard.value().warmup();
      case DdpoSpec ddpo -> 0;
    };
  }

  private static Part part(PlanResponse.Part part) {
    return new Part(
        part.getName(), part.getKind(), part.getParameters(), part.getBytes(), part.getOffloaded());
  }
}
