package dev.vard.api;

import com.google.protobuf.Timestamp;
import dev.vard.proto.v1.Artifact;
import dev.vard.proto.v1.Run;
import dev.vard.proto.v1.Sample;
import dev.vard.run.RunStatus;
import dev.vard.serve.Runs.ArtifactView;
import dev.vard.serve.Runs.RunView;
import dev.vard.serve.Runs.SampleView;
import dev.vard.store.StoredRun;
import java.time.Instant;

/** Ours as messages. */
final class Protos {
  private Protos() {}

  static Run run(RunView view) {
    StoredRun run = view.run();
    Run.Builder message =
        Run.newBuilder()
            .setName(ResourceNames.run(run.id()))
            .setDisplayName(run.name())
            .setOwner(run.owner())
            .setState(state(run.status()))
            .setReason(run.reason())
            .setReasonCode(run.reasonCode())
            .setPriority(run.priority())
            .setQueuePosition(view.queuePosition())
            .setSpecification(run.specification())
            .setIteration(run.iteration())
            .setIterations(run.iterations())
            .setRewardQueries(run.rewardQueries())
            .setGeneration(run.generation())
            .setLastSequence(run.lastSequence())
            .setExportSha256(run.exportSha256())
            .setCreateTime(timestamp(run.createdAt()));
    run.rewardBefore().ifPresent(message::setRewardBefore);
    run.rewardNow().ifPresent(message::setRewardNow);
    run.klPerTrajectory().ifPresent(message::setKlPerTrajectory);
    run.retryAt().map(Protos::timestamp).ifPresent(message::setRetryTime);
    run.startedAt().map(Protos::timestamp).ifPresent(message::setStartTime);
    run.endedAt().map(Protos::timestamp).ifPresent(message::setEndTime);
    return message.build();
  }

  static Sample sample(String run, SampleView sample) {
    return Sample.newBuilder()
        .setArtifact(ResourceNames.artifact(run, sample.path()))
        .setIteration(sample.iteration())
        .setIndex(sample.index())
        .setPrompt(sample.prompt())
        .setSeed(sample.seed())
        .setReward(sample.reward())
        .build();
  }

  static Artifact artifact(String run, ArtifactView artifact) {
    return Artifact.newBuilder()
        .setName(ResourceNames.artifact(run, artifact.path()))
        .setSizeBytes(artifact.bytes())
        .setContentType(artifact.contentType())
        .setUpdateTime(timestamp(artifact.updatedAt()))
        .build();
  }

  static Timestamp timestamp(Instant time) {
    return Timestamp.newBuilder()
        .setSeconds(time.getEpochSecond())
        .setNanos(time.getNano())
        .build();
  }

  private static Run.State state(RunStatus status) {
    return switch (status) {
      case WAITING -> Run.State.WAITING;
      case RUNNING -> Run.State.RUNNING;
      case PAUSED -> Run.State.PAUSED;
      case CANCELLED -> Run.State.CANCELLED;
      case FAILED -> Run.State.FAILED;
      case DONE -> Run.State.DONE;
    };
  }
}
