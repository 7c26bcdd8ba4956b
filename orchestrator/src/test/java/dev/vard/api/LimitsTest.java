package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.serve.ServeSettings;
import io.micronaut.context.ApplicationContext;
import io.micronaut.core.naming.NameUtils;
import java.lang.reflect.RecordComponent;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class LimitsTest {

  /** Every whole number but the ports, so that a limit that is added is not forgotten. */
  static Stream<String> limits() {
    return Arrays.stream(ServeSettings.class.getRecordComponents())
        .filter(component -> component.getType() == int.class || component.getType() == long.class)
        .map(RecordComponent::getName)
        .filter(name -> !name.endsWith("Port"))
        .map(NameUtils::hyphenate);
  }

  @ParameterizedTest
  @MethodSource("limits")
  void shouldRefuseALimitThatLetsNothingThrough(String limit) {
    for (int value : new int[] {0, -1}) {
      assertThatThrownBy(() -> check(Map.of("vard.serve." + limit, value)))
          .isInstanceOf(SettingsException.class)
          .hasMessageContaining(limit + " is " + value)
          .hasMessageContaining(
              "VARD_SERVE_" + limit.replace('-', '_').toUpperCase(Locale.ROOT) + " to 1 or more");
    }
    assertThatCode(() -> check(Map.of("vard.serve." + limit, 1))).doesNotThrowAnyException();
  }

  @Test
  void shouldKnowElevenLimits() {
    assertThat(limits()).hasSize(11);
  }

  private static void check(Map<String, Object> properties) {
    try (ApplicationContext context =
        ApplicationContext.builder().banner(false).properties(properties).start()) {
      ApiProperties.of(context.getBean(ServeSettings.class));
    }
  }
}
