package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.vard.run.RunEvent;
import java.util.List;
import java.util.OptionalInt;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;

/** One behaviour of an API: what its tests begin with. */
abstract class ApiBehaviour {
  final InMemoryRuns runs;
  final LiveApi api;
  final Road nobody;
  final Road alice;
  final Road bob;
  final Road root;

  ApiBehaviour(ApiFixture fixture) {
    this.runs = fixture.runs;
    this.api = fixture.api;
    this.nobody = fixture.nobody;
    this.alice = fixture.alice;
    this.bob = fixture.bob;
    this.root = fixture.root;
  }

  final String make(Road road) {
    return id(road.create("name: fox", List.of(), 0, ""));
  }

  static String id(Road.Run run) {
    return run.name().substring("runs/".length());
  }

  final void tell(String run, int events) {
    for (int i = 0; i < events; i++) {
      runs.tell(run, new RunEvent.Checkpointed(i, 1000, 0.5));
    }
  }

  static Road.Event next(Road.Watch watch) {
    assertThat(watch.hasNext()).isTrue();
    return watch.next();
  }

  static List<String> names(Road.Page<Road.Run> page) {
    return page.items().stream().map(Road.Run::name).toList();
  }

  static void refuses(String code, String field, ThrowingCallable call) {
    Road.Refused refused = catchThrowableOfType(Road.Refused.class, call);
    assertThat(refused).isNotNull();
    assertThat(refused.code).isEqualTo(code);
    assertThat(refused.field).isEqualTo(field);
    assertThat(refused).message().isNotBlank();
  }

  static void refusesAll(String code, Road road, String run) {
    List<ThrowingCallable> calls =
        List.of(
            () -> road.get(run),
            () -> road.cancel(run),
            () -> road.resume(run),
            () -> road.delete(run),
            () -> next(road.watch(run, 0)),
            () -> road.samples(run, OptionalInt.empty()),
            () -> road.artifacts(run, 0, ""),
            () -> road.download("runs/" + run + "/artifacts/report.html"));
    for (ThrowingCallable call : calls) {
      Road.Refused refused = catchThrowableOfType(Road.Refused.class, call);
      assertThat(refused).isNotNull();
      assertThat(refused.code).isEqualTo(code);
    }
  }
}
