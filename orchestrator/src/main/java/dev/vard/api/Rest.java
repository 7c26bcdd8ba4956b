package dev.vard.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import dev.vard.run.RunStatus;
import dev.vard.serve.Runs.ArtifactView;
import dev.vard.serve.Runs.Page;
import dev.vard.serve.Runs.RunView;
import dev.vard.serve.Runs.SampleView;
import dev.vard.store.StoredRun;
import io.micronaut.core.annotation.Nullable;
import io.micronaut.serde.annotation.Serdeable;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.media.Schema.AdditionalPropertiesValue;
import io.swagger.v3.oas.annotations.media.Schema.RequiredMode;
import java.time.Instant;
import java.util.List;
import java.util.OptionalDouble;

/** What REST answers, with the names of {@code run.proto}. What is null is left out. */
final class Rest {
  private Rest() {}

  @Schema(name = "Run", description = "A run, as it stands.")
  @Serdeable
  @JsonNaming(SnakeCaseStrategy.class)
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record Run(
      @Schema(
              description = "`runs/{run}`: below `/v1/` it is the run's address.",
              requiredMode = RequiredMode.REQUIRED)
          String name,
      @Schema(description = "The specification's `name`.", requiredMode = RequiredMode.REQUIRED)
          String displayName,
      @Schema(requiredMode = RequiredMode.REQUIRED) String owner,
      @Schema(requiredMode = RequiredMode.REQUIRED) RunStatus state,
      @Schema(
              description = "Why it is paused, failed or cancelled, for people.",
              requiredMode = RequiredMode.REQUIRED)
          String reason,
      @Schema(
              description = "The same for programs, as `WORKER_UNAVAILABLE`.",
              requiredMode = RequiredMode.REQUIRED)
          String reasonCode,
      @Schema(
              description =
                  "When a paused run tries again by itself; absent where somebody has to resume"
                      + " it.")
          @Nullable
          Instant retryTime,
      @Schema(description = "Larger is sooner; -100 to 100.", requiredMode = RequiredMode.REQUIRED)
          int priority,
      @Schema(
              description =
                  "Runs that will be started before this one, as it looks now; 0 unless it waits.",
              requiredMode = RequiredMode.REQUIRED)
          int queuePosition,
      @Schema(
              description = "The specification with every default, in YAML.",
              requiredMode = RequiredMode.REQUIRED)
          String specification,
      @Schema(description = "Iterations done.", requiredMode = RequiredMode.REQUIRED) int iteration,
      @Schema(description = "Iterations asked for.", requiredMode = RequiredMode.REQUIRED)
          int iterations,
      @Schema(
              description = "Images scored for training so far.",
              requiredMode = RequiredMode.REQUIRED)
          int rewardQueries,
      @Schema(description = "Mean reward of the first evaluation.") @Nullable Double rewardBefore,
      @Schema(description = "Mean reward of the last evaluation.") @Nullable Double rewardNow,
      @Schema(
              description =
                  "KL to the pretrained model in nats, mean over the last evaluation's"
                      + " trajectories.")
          @Nullable
          Double klPerTrajectory,
      @Schema(description = "How often it was taken up.", requiredMode = RequiredMode.REQUIRED)
          long generation,
      @Schema(
              description = "The sequence number of the last event.",
              requiredMode = RequiredMode.REQUIRED)
          long lastSequence,
      @Schema(
              description = "SHA-256 of the exported LoRA, in hex; empty until it is done.",
              requiredMode = RequiredMode.REQUIRED)
          String exportSha256,
      @Schema(requiredMode = RequiredMode.REQUIRED) Instant createTime,
      @Nullable Instant startTime,
      @Nullable Instant endTime) {

    static Run of(RunView view) {
      StoredRun run = view.run();
      return new Run(
          ResourceNames.run(run.id()),
          run.name(),
          run.owner(),
          run.status(),
          run.reason(),
          run.reasonCode(),
          run.retryAt().orElse(null),
          run.priority(),
          view.queuePosition(),
          run.specification(),
          run.iteration(),
          run.iterations(),
          run.rewardQueries(),
          finite(run.rewardBefore()),
          finite(run.rewardNow()),
          finite(run.klPerTrajectory()),
          run.generation(),
          run.lastSequence(),
          run.exportSha256(),
          run.createdAt(),
          run.startedAt().orElse(null),
          run.endedAt().orElse(null));
    }
  }

  @Schema(name = "ListRunsResponse")
  @Serdeable
  @JsonNaming(SnakeCaseStrategy.class)
  @JsonInclude(JsonInclude.Include.ALWAYS)
  record RunPage(
      @Schema(requiredMode = RequiredMode.REQUIRED) List<Run> runs,
      @Schema(description = "Empty on the last page.", requiredMode = RequiredMode.REQUIRED)
          String nextPageToken) {

    static RunPage of(Page<RunView> page) {
      return new RunPage(page.items().stream().map(Run::of).toList(), page.nextToken());
    }
  }

  /** For the description alone: {@link Creations} reads it. */
  @Schema(name = "CreateRunRequest", additionalProperties = AdditionalPropertiesValue.FALSE)
  @JsonNaming(SnakeCaseStrategy.class)
  record CreateRun(
      @Schema(
              description =
                  "A specification in YAML, as in docs/specification.md. Prompts stand in it"
                      + " (`prompts.list`): the server reads no file for a client. `worker` is the"
                      + " server's to decide.",
              requiredMode = RequiredMode.REQUIRED)
          String specification,
      @Schema(description = "Each as `algorithm.iterations=4`.") List<String> overrides,
      @Schema(description = "Larger is sooner.", minimum = "-100", maximum = "100")
          Integer priority,
      @Schema(
              description =
                  "A UUID of the caller's. The same request again, with the same id, gives the run"
                      + " that the first one made.",
              format = "uuid")
          String requestId) {}

  @Schema(name = "RunEvent", description = "Something that happened in a run.")
  @JsonNaming(SnakeCaseStrategy.class)
  record Event(
      @Schema(
              description = "From 1, without gaps.",
              minimum = "1",
              requiredMode = RequiredMode.REQUIRED)
          long sequence,
      @Schema(requiredMode = RequiredMode.REQUIRED) Instant time,
      @Schema(
              description =
                  "The line of metrics.jsonl: its member `event` names its type, NaN is null.",
              type = "object",
              additionalProperties = AdditionalPropertiesValue.TRUE,
              requiredMode = RequiredMode.REQUIRED)
          Object event) {}

  /** For the description alone: {@link EventJson} writes it. */
  @Schema(name = "ListEventsResponse")
  @JsonNaming(SnakeCaseStrategy.class)
  record EventPage(
      @Schema(
              description = "Ask for more after the last one's sequence number.",
              requiredMode = RequiredMode.REQUIRED)
          List<Event> events) {}

  @Schema(name = "Sample", description = "An image of an evaluation.")
  @Serdeable
  @JsonNaming(SnakeCaseStrategy.class)
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record Sample(
      @Schema(
              description =
                  "`runs/{run}/artifacts/{path}`: below `/v1/` it is the image's address.",
              requiredMode = RequiredMode.REQUIRED)
          String artifact,
      @Schema(requiredMode = RequiredMode.REQUIRED) int iteration,
      @Schema(requiredMode = RequiredMode.REQUIRED) int index,
      @Schema(requiredMode = RequiredMode.REQUIRED) String prompt,
      @Schema(requiredMode = RequiredMode.REQUIRED) long seed,
      @Schema(description = "Absent where it is no number.") @Nullable Double reward) {

    static Sample of(String run, SampleView sample) {
      return new Sample(
          ResourceNames.artifact(run, sample.path()),
          sample.iteration(),
          sample.index(),
          sample.prompt(),
          sample.seed(),
          finite(OptionalDouble.of(sample.reward())));
    }
  }

  @Schema(name = "ListSamplesResponse")
  @Serdeable
  @JsonNaming(SnakeCaseStrategy.class)
  @JsonInclude(JsonInclude.Include.ALWAYS)
  record SamplePage(
      @Schema(requiredMode = RequiredMode.REQUIRED) List<Sample> samples,
      @Schema(description = "Empty on the last page.", requiredMode = RequiredMode.REQUIRED)
          String nextPageToken) {

    static SamplePage of(String run, Page<SampleView> page) {
      return new SamplePage(
          page.items().stream().map(sample -> Sample.of(run, sample)).toList(), page.nextToken());
    }
  }

  @Schema(name = "Artifact", description = "A file of a run.")
  @Serdeable
  @JsonNaming(SnakeCaseStrategy.class)
  @JsonInclude(JsonInclude.Include.ALWAYS)
  record Artifact(
      @Schema(
              description = "`runs/{run}/artifacts/{path}`: below `/v1/` it is the file's address.",
              requiredMode = RequiredMode.REQUIRED)
          String name,
      @Schema(requiredMode = RequiredMode.REQUIRED) long sizeBytes,
      @Schema(requiredMode = RequiredMode.REQUIRED) String contentType,
      @Schema(requiredMode = RequiredMode.REQUIRED) Instant updateTime) {

    static Artifact of(String run, ArtifactView artifact) {
      return new Artifact(
          ResourceNames.artifact(run, artifact.path()),
          artifact.bytes(),
          artifact.contentType(),
          artifact.updatedAt());
    }
  }

  @Schema(name = "ListArtifactsResponse")
  @Serdeable
  @JsonNaming(SnakeCaseStrategy.class)
  @JsonInclude(JsonInclude.Include.ALWAYS)
  record ArtifactPage(
      @Schema(requiredMode = RequiredMode.REQUIRED) List<Artifact> artifacts,
      @Schema(description = "Empty on the last page.", requiredMode = RequiredMode.REQUIRED)
          String nextPageToken) {

    static ArtifactPage of(String run, Page<ArtifactView> page) {
      return new ArtifactPage(
          page.items().stream().map(artifact -> Artifact.of(run, artifact)).toList(),
          page.nextToken());
    }
  }

  @Schema(name = "Problem", description = "What is wrong, as RFC 9457 has it.")
  @Serdeable
  @JsonNaming(SnakeCaseStrategy.class)
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record Problem(
      @Schema(
              description = "`about:blank`: the title says it all.",
              requiredMode = RequiredMode.REQUIRED)
          String type,
      @Schema(description = "The status in words.", requiredMode = RequiredMode.REQUIRED)
          String title,
      @Schema(requiredMode = RequiredMode.REQUIRED) int status,
      @Schema(
              description = "What was wrong, where, and what to do.",
              requiredMode = RequiredMode.REQUIRED)
          String detail,
      @Schema(
              description = "A google.rpc.Code, as `NOT_FOUND`.",
              requiredMode = RequiredMode.REQUIRED)
          String code,
      @Schema(description = "The field to blame, where there is one.") @Nullable String field) {}

  /** JSON has no NaN. */
  private static @Nullable Double finite(OptionalDouble number) {
    return number.isPresent() && Double.isFinite(number.getAsDouble())
        ? number.getAsDouble()
        : null;
  }
}
