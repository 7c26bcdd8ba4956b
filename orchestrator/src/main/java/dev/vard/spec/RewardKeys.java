package dev.vard.spec;

import java.util.List;
import java.util.stream.Stream;

/** The keys of {@code reward}, some of which a sum leaves to its parts, and the parts to it. */
final class RewardKeys {
  static final List<Key<?>> ALL =
      Keys.ALL.stream().filter(key -> key.path().startsWith(Given.WHOLE + ".")).toList();

  /** Keys that a sum leaves to its parts. */
  static final List<Key<?>> OF_PARTS =
      Stream.of(RewardSpec.Part.class, AskingSpec.class).flatMap(RewardKeys::of).toList();

  /** Keys that the parts of a sum leave to it. */
  static final List<Key<?>> OF_SUMS = of(RewardSpec.class).toList();

  private RewardKeys() {}

  private static Stream<Key<?>> of(Class<? extends Record> record) {
    return Component.of(record, Given.WHOLE).stream()
        .filter(Component::isKey)
        .map(component -> Keys.at(component.path()));
  }
}
