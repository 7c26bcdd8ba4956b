package dev.vard.run;

import dev.vard.algorithm.Action;
import dev.vard.algorithm.Objective;
import dev.vard.algorithm.Seeds;
import dev.vard.algorithm.Target;
import dev.vard.algorithm.Trajectory;
import dev.vard.proto.v1.AdapterConfig;
import dev.vard.proto.v1.CloseRequest;
import dev.vard.proto.v1.DType;
import dev.vard.proto.v1.EvaluateRequest;
import dev.vard.proto.v1.ExportRequest;
import dev.vard.proto.v1.FitValueRequest;
import dev.vard.proto.v1.ImprovePolicyRequest;
import dev.vard.proto.v1.KlBudget;
import dev.vard.proto.v1.ModelConfig;
import dev.vard.proto.v1.OpenRequest;
import dev.vard.proto.v1.ReleaseRequest;
import dev.vard.proto.v1.RestoreRequest;
import dev.vard.proto.v1.SampleRequest;
import dev.vard.proto.v1.SamplerConfig;
import dev.vard.proto.v1.SaveRequest;
import dev.vard.proto.v1.TrajectoryConfig;
import dev.vard.proto.v1.TrajectorySpec;
import dev.vard.proto.v1.ValueConfig;
import dev.vard.spec.AdapterSpec;
import dev.vard.spec.AlgorithmSpec.DdpoSpec;
import dev.vard.spec.AlgorithmSpec.VardSpec;
import dev.vard.spec.ModelSpec;
import dev.vard.spec.RunSpec;
import dev.vard.spec.SamplerSpec;
import dev.vard.spec.TrajectoriesSpec;
import dev.vard.spec.ValueSpec;
import java.nio.file.Path;
import java.util.List;

/** Puts a session's specification and actions into the contract's words. */
final class Requests {
  /** A session's id may have 64 characters; a run's may have as many. */
  private static final int TAIL = 42;

  private final String family;
  private final String session;
  private final RunSpec spec;

  /**
   * @param generation how often the run was claimed
   * @param attempt how often it was begun since: each has a session of its own, so that a request
   *     that comes late, of an attempt that was given up, finds none
   */
  Requests(String runId, long generation, int attempt, RunSpec spec) {
    this.family = runId.substring(Math.max(0, runId.length() - TAIL)) + ".";
    this.session = family + generation + "." + attempt;
    this.spec = spec;
  }

  /** Whether a session is of this run. */
  boolean isOurs(String sessionId) {
    return sessionId.startsWith(family);
  }

  OpenRequest open() {
    OpenRequest.Builder request =
        OpenRequest.newBuilder()
            .setSessionId(session)
            .setModel(model(spec.model()))
            .setSampler(sampler(spec.sampler()))
            .setTrajectories(trajectories(spec.sampler().trajectories()))
            .setSeed(new Seeds(spec.seed()).of(Seeds.Purpose.MODEL, 0, 0));
    switch (spec.algorithm()) {
      case VardSpec vard -> request.setValue(value(vard.value()));
      case DdpoSpec ddpo -> {}
    }
    return request.build();
  }

  SampleRequest sample(Action.Evaluate action) {
    return sample(action.trajectories()).setMeasureKl(true).build();
  }

  SampleRequest sample(Action.Collect action) {
    return sample(action.trajectories()).setOperation(action.operation()).setRetain(true).build();
  }

  EvaluateRequest assess(Action.AssessValue action) {
    return EvaluateRequest.newBuilder()
        .setSessionId(session)
        .addAllTargets(targets(action.targets()))
        .setBatch(action.batch())
        .build();
  }

  FitValueRequest fit(Action.FitValue action) {
    return FitValueRequest.newBuilder()
        .setSessionId(session)
        .setOperation(action.operation())
        .addAllTargets(targets(action.targets()))
        .setSteps(action.steps())
        .setBatch(action.batch())
        .setLearningRate(action.learningRate())
        .setMaxGradientNorm(action.maxGradientNorm())
        .setSeed(action.seed())
        .setMicroBatch(
            switch (spec.algorithm()) {
              case VardSpec vard -> vard.value().microBatch().orElse(0);
              case DdpoSpec ddpo -> 0;
            })
        .build();
  }

  ImprovePolicyRequest improve(Action.ImprovePolicy action) {
    ImprovePolicyRequest.Builder request = ImprovePolicyRequest.newBuilder();
    action.klBudget().map(this::klBudget).ifPresent(request::setKlBudget);
    if (action.finalLearningRate() != action.learningRate()) {
      request.setFinalLearningRate(action.finalLearningRate());
    }
    return request
        .setSessionId(session)
        .setOperation(action.operation())
        .addAllTrajectoryIds(action.trajectoryIds())
        .setSteps(action.steps())
        .setBatch(action.batch())
        .setLearningRate(action.learningRate())
        .setMaxGradientNorm(action.maxGradientNorm())
        .setSeed(action.seed())
        .setKlWeight(action.klWeight())
        .setMicroBatch(spec.algorithm().policy().microBatch().orElse(0))
        .setNamed(objective(action.objective()))
        .build();
  }

  /** How much an improvement asks of the network, by which its time is judged. */
  long passes(Action.ImprovePolicy action) {
    int probes = action.klBudget().map(budget -> budget.probes().size()).orElse(0);
    return (long) action.steps() * action.batch() + (long) probes * spec.sampler().steps();
  }

  private KlBudget klBudget(Action.KlBudget budget) {
    return KlBudget.newBuilder()
        .setAim(budget.aim())
        .setLeast(budget.least())
        .addAllProbes(trajectories(budget.probes()))
        .setBatch(spec.sampler().batch())
        .build();
  }

  private static dev.vard.proto.v1.Objective objective(Objective objective) {
    dev.vard.proto.v1.Objective.Builder message =
        dev.vard.proto.v1.Objective.newBuilder()
            .setKind(objective.kind())
            .putAllNumbers(objective.numbers());
    objective
        .series()
        .forEach(
            (name, values) ->
                message.putSeries(
                    name,
                    dev.vard.proto.v1.Objective.Series.newBuilder().addAllValues(values).build()));
    return message.build();
  }

  ReleaseRequest release(Action.Release action) {
    return ReleaseRequest.newBuilder()
        .setSessionId(session)
        .setOperation(action.operation())
        .addAllTrajectoryIds(action.trajectoryIds())
        .build();
  }

  ExportRequest export(Path folder) {
    return exporting(folder).build();
  }

  /** For a run that stops: it does not wait until the file was drawn with. */
  ExportRequest lastExport(Path folder) {
    return exporting(folder).setUnchecked(true).build();
  }

  private ExportRequest.Builder exporting(Path folder) {
    return ExportRequest.newBuilder()
        .setSessionId(session)
        .setPath(folder.toAbsolutePath().toString());
  }

  SaveRequest save(Path folder) {
    return SaveRequest.newBuilder()
        .setSessionId(session)
        .setPath(folder.toAbsolutePath().toString())
        .build();
  }

  RestoreRequest restore(Path folder) {
    return RestoreRequest.newBuilder()
        .setSessionId(session)
        .setPath(folder.toAbsolutePath().toString())
        .build();
  }

  CloseRequest close() {
    return close(session);
  }

  CloseRequest close(String sessionId) {
    return CloseRequest.newBuilder().setSessionId(sessionId).build();
  }

  private SampleRequest.Builder sample(List<Trajectory> trajectories) {
    return SampleRequest.newBuilder()
        .setSessionId(session)
        .setBatch(spec.sampler().batch())
        .addAllTrajectories(trajectories(trajectories));
  }

  private static List<TrajectorySpec> trajectories(List<Trajectory> trajectories) {
    return trajectories.stream()
        .map(
            trajectory ->
                TrajectorySpec.newBuilder()
                    .setId(trajectory.id())
                    .setPrompt(trajectory.prompt())
                    .setSeed(trajectory.seed())
                    .build())
        .toList();
  }

  private static List<dev.vard.proto.v1.Target> targets(List<Target> targets) {
    return targets.stream()
        .map(
            target ->
                dev.vard.proto.v1.Target.newBuilder()
                    .setTrajectoryId(target.trajectoryId())
                    .setValue(target.value())
                    .build())
        .toList();
  }

  private static ModelConfig model(ModelSpec model) {
    AdapterSpec adapter = model.adapter();
    return ModelConfig.newBuilder()
        .setCheckpoint(model.checkpoint())
        .setRevision(model.revision())
        .setDevice(model.device())
        .setDtype(dtype(model.dtype()))
        .setHeight(model.height().orElse(0))
        .setWidth(model.width().orElse(0))
        .setGradientCheckpointing(model.gradientCheckpointing())
        .setOffload(model.offload())
        .setAdapter(
            AdapterConfig.newBuilder()
                .setRank(adapter.rank())
                .setAlpha(adapter.alpha())
                .addAllTargets(adapter.targets()))
        .build();
  }

  private static DType dtype(ModelSpec.DType dtype) {
    return switch (dtype) {
      case FLOAT32 -> DType.FLOAT32;
      case BFLOAT16 -> DType.BFLOAT16;
    };
  }

  private static TrajectoryConfig trajectories(TrajectoriesSpec trajectories) {
    return TrajectoryConfig.newBuilder()
        .setDtype(dtype(trajectories.dtype()))
        .setDevice(
            switch (trajectories.device()) {
              case MODEL -> "model";
              case CPU -> "cpu";
            })
        .build();
  }

  private static SamplerConfig sampler(SamplerSpec sampler) {
    SamplerConfig.Builder config = SamplerConfig.newBuilder();
    sampler.eta().ifPresent(config::setEta);
    return config
        .setKind(
            switch (sampler.kind()) {
              case AUTO -> SamplerConfig.Kind.KIND_UNSPECIFIED;
              case DDIM -> SamplerConfig.Kind.DDIM;
              case DDPM -> SamplerConfig.Kind.DDPM;
              case FLOW_SDE -> SamplerConfig.Kind.FLOW_SDE;
              case FLOW_CPS -> SamplerConfig.Kind.FLOW_CPS;
            })
        .setSteps(sampler.steps())
        .setGuidance(sampler.guidance())
        .build();
  }

  private static ValueConfig value(ValueSpec value) {
    return ValueConfig.newBuilder()
        .setKind(
            switch (value.kind()) {
              case CONV -> ValueConfig.Kind.CONV;
              case ENCODER -> ValueConfig.Kind.ENCODER;
            })
        .setInput(
            switch (value.input()) {
              case STATE -> ValueConfig.Input.STATE;
              case LOOKAHEAD -> ValueConfig.Input.LOOKAHEAD;
            })
        .setWithoutPrompt(!value.prompt())
        .setWidth(value.width().orElse(0))
        .build();
  }
}
