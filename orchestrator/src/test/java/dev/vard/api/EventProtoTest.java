package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.protobuf.util.JsonFormat;
import dev.vard.proto.v1.RunEvent.EventCase;
import dev.vard.reward.RewardMetrics;
import dev.vard.run.PhaseSeconds;
import dev.vard.run.RunEvent;
import dev.vard.run.RunJson;
import dev.vard.run.RunResult;
import dev.vard.run.RunStatus;
import dev.vard.statistics.Interval;
import dev.vard.store.StoredEvent;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class EventProtoTest {
  private static final Instant TIME = Instant.parse("2026-05-01T12:34:56.789Z");
  private static final Interval INTERVAL = new Interval(-3.5, -4.25, -2.75);
  private static final PhaseSeconds SECONDS = new PhaseSeconds(1.5, 2.5, 3.5, 4.5, 5.5, 17.25);

  private static final RewardMetrics SCORING =
      new RewardMetrics(
          List.of(
              new RewardMetrics.Part(
                  "size",
                  -1.5,
                  32,
                  8,
                  3,
                  2,
                  1,
                  4,
                  new RewardMetrics.Percentiles(0.25, 0.5, 0.75, 1.5),
                  new RewardMetrics.Percentiles(0.125, 1.25, 1.75, 2.25))),
          1,
          2.5,
          3.5,
          0.875,
          0.75);

  private final JsonMapper mapper = new JsonMapper();
  private final EventProto protos = new EventProto();

  static List<RunEvent> events() {
    return List.of(
        new RunEvent.Started(
            "fox-1",
            "fox",
            "vard",
            Long.MAX_VALUE,
            14,
            32,
            3,
            16,
            OptionalDouble.of(60.0),
            TIME,
            Path.of("runs")),
        new RunEvent.Evaluated(
            4,
            INTERVAL,
            List.of(OptionalDouble.of(-4), OptionalDouble.of(-3)),
            55.5,
            List.of(54.0, 57.0),
            new RunEvent.SampleSeconds(1.5, 2.5, 3.5),
            SCORING),
        new RunEvent.IterationFinished(
            4,
            "train",
            128,
            INTERVAL,
            Optional.of(
                new RunEvent.ValueMetrics(
                    List.of(
                        new RunEvent.TimestepQuality(-1, 0.5, 0.25, 0.75),
                        new RunEvent.TimestepQuality(981, 0.125, 0.875, 0.375)),
                    0.5)),
            Optional.of(
                new RunEvent.PolicyMetrics(
                    1.5, 3.5, 4.5, 5.5, Map.of("spread", 0.125, "tilt", 2.5))),
            SECONDS,
            SCORING),
        new RunEvent.Finished(
            new RunResult(
                "fox-1", 14, 448, 48, INTERVAL, INTERVAL, 59.5, SECONDS, "runs/export", "ab12")),
        new RunEvent.StateChanged(
            Optional.of(RunStatus.RUNNING), RunStatus.PAUSED, "WORKER_UNAVAILABLE", "it is gone"),
        new RunEvent.Checkpointed(4, 1L << 40, 0.5),
        new RunEvent.Recovered(4, "RESTARTED", "the orchestrator was restarted", 3),
        new RunEvent.Warned(2, "REWARD_CONSTANT", "all scores are 1"));
  }

  /** Back to JSON by protobuf's own printer, for comparison with what the database has. */
  @ParameterizedTest
  @MethodSource("events")
  void shouldCarryEveryFieldOfEveryEvent(RunEvent event) throws Exception {
    String json = new RunJson().write(event);
    ObjectNode stored = (ObjectNode) mapper.readTree(json);
    String type = stored.remove("event").asText();
    stored.remove("time"); // the envelope's

    dev.vard.proto.v1.RunEvent message = protos.of(new StoredEvent("fox-1", 7, TIME, json));

    JsonNode carried =
        mapper.readTree(JsonFormat.printer().preservingProtoFieldNames().print(message)).path(type);
    for (Map.Entry<String, JsonNode> member : stored.properties()) {
      assertThat(values(carried.path(member.getKey())))
          .as(member.getKey())
          .isEqualTo(values(member.getValue()));
    }
  }

  @Test
  void shouldKnowEveryTypeThatIsKept() {
    assertThat(events().stream().map(event -> of(event).getEventCase()))
        .containsExactly(
            EventCase.STARTED,
            EventCase.EVALUATED,
            EventCase.ITERATION,
            EventCase.FINISHED,
            EventCase.STATE_CHANGED,
            EventCase.CHECKPOINTED,
            EventCase.RECOVERED,
            EventCase.WARNED);
  }

  @Test
  void shouldCarryNumberAndTime() {
    dev.vard.proto.v1.RunEvent message = of(new RunEvent.Checkpointed(1, 2, 3));

    assertThat(message.getSequence()).isEqualTo(7);
    assertThat(message.getTime()).isEqualTo(Protos.timestamp(TIME));
  }

  @Test
  void shouldTakeNullForNanWhereANumberHasToBe() {
    dev.vard.proto.v1.RunEvent message =
        of(
            new RunEvent.Evaluated(
                1,
                new Interval(Double.NaN, 1, 2),
                List.of(OptionalDouble.of(1), OptionalDouble.empty()),
                Double.NaN,
                List.of(),
                new RunEvent.SampleSeconds(1, 2, 3),
                RewardMetrics.NONE));

    assertThat(message.getEvaluated().getReward().getMean()).isNaN();
    assertThat(message.getEvaluated().getRewardsList()).containsExactly(1.0, Double.NaN);
    assertThat(message.getEvaluated().getKlPerTrajectory()).isNaN();
  }

  @Test
  void shouldTakeNullForAbsentWhereANumberMayBe() {
    dev.vard.proto.v1.RunEvent message =
        of(
            new RunEvent.IterationFinished(
                1,
                "warmup",
                1,
                INTERVAL,
                Optional.of(
                    new RunEvent.ValueMetrics(
                        List.of(new RunEvent.TimestepQuality(1, Double.NaN, 1, Double.NaN)), 1)),
                Optional.empty(),
                SECONDS,
                RewardMetrics.NONE));

    assertThat(message.getIteration().getValue().getByTimestep(0).hasR2()).isFalse();
    assertThat(message.getIteration().hasPolicy()).isFalse();
  }

  @Test
  void shouldNameTheMetricsOfOldEventsAndTellOldClientsThoseOfNewOnes() {
    String old =
        "{\"event\":\"iteration\",\"policy\":{\"loss\":1,\"objective\":2,\"clipped\":null}}";
    String now =
        "{\"event\":\"iteration\",\"policy\":{\"metrics\":{\"objective\":2,\"clipped\":null}}}";

    for (String json : List.of(old, now)) {
      Map<String, Object> policy =
          protos
              .of(new StoredEvent("fox-1", 7, TIME, json))
              .getIteration()
              .getPolicy()
              .getAllFields()
              .entrySet()
              .stream()
              .collect(
                  java.util.stream.Collectors.toMap(
                      field -> field.getKey().getName(), Map.Entry::getValue));
      assertThat(policy).containsEntry("objective", 2.0).containsEntry("clipped", Double.NaN);
      assertThat(protos.of(new StoredEvent("fox-1", 7, TIME, json)).getIteration().getPolicy())
          .satisfies(
              told ->
                  assertThat(told.getMetricsMap())
                      .containsOnly(Map.entry("objective", 2.0), Map.entry("clipped", Double.NaN)));
    }
  }

  @Test
  void shouldTakeANewRunForOneFromNowhere() {
    dev.vard.proto.v1.RunEvent message =
        of(new RunEvent.StateChanged(Optional.empty(), RunStatus.WAITING, "", ""));

    assertThat(message.getStateChanged().getFrom())
        .isEqualTo(dev.vard.proto.v1.Run.State.STATE_UNSPECIFIED);
  }

  @Test
  void shouldLeaveOutWhatItDoesNotKnow() {
    assertThat(
            protos
                .of(new StoredEvent("fox-1", 7, TIME, "{\"event\":\"danced\",\"steps\":[1]}"))
                .getEventCase())
        .isEqualTo(EventCase.EVENT_NOT_SET);
    assertThat(
            protos
                .of(
                    new StoredEvent(
                        "fox-1", 7, TIME, "{\"event\":\"checkpointed\",\"iteration\":3,\"x\":{}}"))
                .getCheckpointed()
                .getIteration())
        .isEqualTo(3);
  }

  private dev.vard.proto.v1.RunEvent of(RunEvent event) {
    return protos.of(new StoredEvent("fox-1", 7, TIME, new RunJson().write(event)));
  }

  /** 64-bit numbers are texts in protobuf's JSON, and 3 is 3.0. */
  private Object values(JsonNode node) {
    if (node.isObject()) {
      return node.properties().stream()
          .filter(member -> !member.getValue().isNull())
          .collect(
              java.util.stream.Collectors.toMap(
                  Map.Entry::getKey, member -> values(member.getValue())));
    }
    if (node.isArray()) {
      return node.valueStream().map(this::values).toList();
    }
    if (node.isNumber() || node.isTextual()) {
      try {
        return new java.math.BigDecimal(node.asText()).stripTrailingZeros();
      } catch (NumberFormatException e) {
        return node.asText();
      }
    }
    return node.toString();
  }
}
