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
import io.micronaut.serde.annotation.Serdeable;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.media.Schema.AdditionalPropertiesValue;
import io.swagger.v3.oas.annotations.media.Schema.RequiredMode;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * What REST answers, with the names of {@code run.proto}. The Javadoc of what is in here is the
 * text of the OpenAPI document; {@code nullable = false} there, for what is absent is left out, not
 * null.
 */
final class Rest {
  private Rest() {}

  /**
   * A run, as it stands.
   *
   * @param name {@code runs/{run}}: below {@code /v1/} it is the run's address.
   * @param displayName The specification's {@code name}.
   * @param owner Who asked for it.
   * @param state Where it stands.
   * @param reason Why it is paused, failed or cancelled, for people.
   * @param reasonCode The same for programs, as {@code WORKER_UNAVAILABLE}.
   * @param retryTime When a paused run tries again by itself; absent where somebody has to resume
   *     it.
   * @param priority Larger is sooner; -100 to 100.
   * @param queuePosition Runs that will be started before this one, as it looks now; 0 unless it
   *     waits.
   * @param specification The specification with every default, in YAML.
   * @param iteration Iterations done.
   * @param iterations Iterations asked for.
   * @param rewardQueries Images scored for training so far.
   * @param rewardBefore Mean reward of the first evaluation.
   * @param rewardNow Mean reward of the last evaluation.
   * @param klPerTrajectory KL to the pretrained model in nats, mean over the last evaluation's
   *     trajectories.
   * @param generation How often it was taken up: by another orchestrator, after a restart, after a
   *     pause.
   * @param lastSequence The sequence number of the last event.
   * @param exportSha256 SHA-256 of the exported LoRA, in hex; empty until it is done.
   */
  @Schema(name = "Run", types = "object")
  @Serdeable
  @JsonNaming(SnakeCaseStrategy.class)
  @JsonInclude(JsonInclude.Include.NON_ABSENT)
  record Run(
      String name,
      String displayName,
      String owner,
      RunStatus state,
      String reason,
      String reasonCode,
      @Schema(nullable = false) Optional<Instant> retryTime,
      int priority,
      int queuePosition,
      String specification,
      int iteration,
      int iterations,
      int rewardQueries,
      @Schema(nullable = false) OptionalDouble rewardBefore,
      @Schema(nullable = false) OptionalDouble rewardNow,
      @Schema(nullable = false) OptionalDouble klPerTrajectory,
      long generation,
      long lastSequence,
      String exportSha256,
      Instant createTime,
      @Schema(nullable = false) Optional<Instant> startTime,
      @Schema(nullable = false) Optional<Instant> endTime) {

    static Run of(RunView view) {
      StoredRun run = view.run();
      return new Run(
          ResourceNames.run(run.id()),
          run.name(),
          run.owner(),
          run.status(),
          run.reason(),
          run.reasonCode(),
          run.retryAt(),
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
          run.startedAt(),
          run.endedAt());
    }
  }

  /**
   * Runs, the newest first.
   *
   * @param nextPageToken Empty on the last page.
   */
  @Schema(name = "ListRunsResponse", types = "object")
  @Serdeable
  @JsonNaming(SnakeCaseStrategy.class)
  @JsonInclude(JsonInclude.Include.NON_ABSENT)
  record RunPage(List<Run> runs, String nextPageToken) {

    static RunPage of(Page<RunView> page) {
      return new RunPage(page.items().stream().map(Run::of).toList(), page.nextToken());
    }
  }

  /**
   * What to do.
   *
   * @param specification A specification in YAML, as in docs/specification.md. Prompts stand in it
   *     ({@code prompts.list}): the server reads no file for a client. {@code worker} is the
   *     server's to decide.
   * @param overrides Each as {@code algorithm.iterations=4}.
   * @param priority Larger is sooner.
   * @param requestId A UUID of the caller's. The same request again, with the same id, gives the
   *     run that the first one made.
   */
  @Schema(
      name = "CreateRunRequest",
      types = "object",
      additionalProperties = AdditionalPropertiesValue.FALSE)
  @JsonNaming(SnakeCaseStrategy.class) // for the document alone: Creations reads it
  record CreateRun(
      @Schema(requiredMode = RequiredMode.REQUIRED, minLength = 1) String specification,
      @Schema(requiredMode = RequiredMode.NOT_REQUIRED) List<String> overrides,
      @Schema(requiredMode = RequiredMode.NOT_REQUIRED, minimum = "-100", maximum = "100")
          int priority,
      @Schema(requiredMode = RequiredMode.NOT_REQUIRED, format = "uuid") String requestId) {}

  /**
   * Something that happened in a run.
   *
   * @param sequence From 1, without gaps.
   * @param event The line of metrics.jsonl: its member {@code event} names its type, NaN is null.
   */
  @Schema(name = "RunEvent", types = "object")
  @JsonNaming(SnakeCaseStrategy.class)
  record Event(
      @Schema(minimum = "1", requiredMode = RequiredMode.REQUIRED) long sequence,
      Instant time,
      @Schema(
              types = "object",
              additionalProperties = AdditionalPropertiesValue.TRUE,
              requiredMode = RequiredMode.REQUIRED)
          Object event) {}

  /**
   * A run's events, in order.
   *
   * @param events Ask for more after the last one's sequence number.
   */
  @Schema(name = "ListEventsResponse", types = "object")
  @JsonNaming(SnakeCaseStrategy.class) // for the document alone: EventJson writes it
  record EventPage(List<Event> events) {}

  /**
   * An image of an evaluation.
   *
   * @param artifact {@code runs/{run}/artifacts/{path}}: below {@code /v1/} it is the image's
   *     address.
   * @param iteration After how many iterations of training.
   * @param index In the evaluation.
   * @param reward Absent where it is no number.
   */
  @Schema(name = "Sample", types = "object")
  @Serdeable
  @JsonNaming(SnakeCaseStrategy.class)
  @JsonInclude(JsonInclude.Include.NON_ABSENT)
  record Sample(
      String artifact,
      int iteration,
      int index,
      String prompt,
      long seed,
      @Schema(nullable = false) OptionalDouble reward) {

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

  /**
   * Images of evaluations.
   *
   * @param nextPageToken Empty on the last page.
   */
  @Schema(name = "ListSamplesResponse", types = "object")
  @Serdeable
  @JsonNaming(SnakeCaseStrategy.class)
  @JsonInclude(JsonInclude.Include.NON_ABSENT)
  record SamplePage(List<Sample> samples, String nextPageToken) {

    static SamplePage of(String run, Page<SampleView> page) {
      return new SamplePage(
          page.items().stream().map(sample -> Sample.of(run, sample)).toList(), page.nextToken());
    }
  }

  /**
   * A file of a run.
   *
   * @param name {@code runs/{run}/artifacts/{path}}: below {@code /v1/} it is the file's address.
   */
  @Schema(name = "Artifact", types = "object")
  @Serdeable
  @JsonNaming(SnakeCaseStrategy.class)
  @JsonInclude(JsonInclude.Include.NON_ABSENT)
  record Artifact(String name, long sizeBytes, String contentType, Instant updateTime) {

    static Artifact of(String run, ArtifactView artifact) {
      return new Artifact(
          ResourceNames.artifact(run, artifact.path()),
          artifact.bytes(),
          artifact.contentType(),
          artifact.updatedAt());
    }
  }

  /**
   * Files of a run.
   *
   * @param nextPageToken Empty on the last page.
   */
  @Schema(name = "ListArtifactsResponse", types = "object")
  @Serdeable
  @JsonNaming(SnakeCaseStrategy.class)
  @JsonInclude(JsonInclude.Include.NON_ABSENT)
  record ArtifactPage(List<Artifact> artifacts, String nextPageToken) {

    static ArtifactPage of(String run, Page<ArtifactView> page) {
      return new ArtifactPage(
          page.items().stream().map(artifact -> Artifact.of(run, artifact)).toList(),
          page.nextToken());
    }
  }

  /**
   * What is wrong, as RFC 9457 has it.
   *
   * @param type {@code about:blank}: the title says what kind it is.
   * @param title The status in words.
   * @param status The status.
   * @param detail What was wrong, where, and what to do.
   * @param code A google.rpc.Code, as {@code NOT_FOUND}.
   * @param field The field to blame, where there is one.
   */
  @Schema(name = "Problem", types = "object")
  @Serdeable
  @JsonNaming(SnakeCaseStrategy.class)
  @JsonInclude(JsonInclude.Include.NON_ABSENT)
  record Problem(
      String type,
      String title,
      int status,
      String detail,
      String code,
      @Schema(nullable = false) Optional<String> field) {}

  /** JSON has no NaN. */
  private static OptionalDouble finite(OptionalDouble number) {
    return number.isPresent() && Double.isFinite(number.getAsDouble())
        ? number
        : OptionalDouble.empty();
  }
}
