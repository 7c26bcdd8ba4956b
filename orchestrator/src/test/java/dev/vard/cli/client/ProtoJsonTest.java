package dev.vard.cli.client;

import static org.assertj.core.api.Assertions.assertThat;

import dev.vard.proto.v1.Checkpointed;
import dev.vard.proto.v1.ListRunsResponse;
import dev.vard.proto.v1.Run;
import dev.vard.proto.v1.RunEvent;
import dev.vard.proto.v1.RunStarted;
import org.junit.jupiter.api.Test;

class ProtoJsonTest {

  @Test
  void shouldWriteNumbersAsNumbersWhereverTheyStand() {
    assertThat(
            ProtoJson.line(
                ListRunsResponse.newBuilder()
                    .addRuns(Run.newBuilder().setLastSequence(9))
                    .addRuns(Run.newBuilder().setLastSequence(Long.MAX_VALUE))
                    .build()))
        .contains("\"last_sequence\":9,", "\"last_sequence\":9223372036854775807,");
  }

  @Test
  void shouldWriteASeedWithAll64Bits() {
    assertThat(
            ProtoJson.line(
                RunEvent.newBuilder().setStarted(RunStarted.newBuilder().setSeed(-1)).build()))
        .contains("\"seed\":18446744073709551615");
  }

  @Test
  void shouldWriteTimesAsText() {
    assertThat(
            ProtoJson.line(
                RunEvent.newBuilder()
                    .setSequence(3)
                    .setTime(FakeRunService.time(0))
                    .setCheckpointed(Checkpointed.newBuilder().setIteration(4))
                    .build()))
        .isEqualTo(
            "{\"sequence\":3,\"time\":\"2023-11-14T22:13:20Z\",\"checkpointed\":{\"iteration\":4,"
                + "\"bytes\":0,\"seconds\":0.0}}");
  }
}
