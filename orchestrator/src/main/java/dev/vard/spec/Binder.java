package dev.vard.spec;

import java.lang.reflect.RecordComponent;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** From values that are as they should be to the records. */
final class Binder {
  private final Given given;

  Binder(Given given) {
    this.given = given;
  }

  /**
   * @param type a record, or a family of which the values say which one is meant
   * @param section empty for the root
   */
  <T> T bind(Class<T> type, String section) {
    Class<?> record = type.isSealed() ? variant(type, section) : type;
    Object[] values =
        Component.of(record, section).stream().map(this::value).toArray(Object[]::new);
    Class<?>[] types =
        Arrays.stream(record.getRecordComponents())
            .map(RecordComponent::getType)
            .toArray(Class<?>[]::new);
    try {
      return type.cast(record.getDeclaredConstructor(types).newInstance(values));
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(record + " cannot be made of " + List.of(values), e);
    }
  }

  private Object value(Component component) {
    return component.isKey()
        ? JavaTypes.held(component.type(), given.value(component.path()))
        : bind(component.of().getType(), component.path());
  }

  /** The record of the kind that was given; without kinds, the first that can be made. */
  private Class<?> variant(Class<?> family, String section) {
    Optional<Object> kind = given.value(Component.below(section, Keys.KIND));
    return kind.<Class<?>>map(constant -> ((Variant) constant).type())
        .orElseGet(
            () ->
                Arrays.stream(family.getPermittedSubclasses())
                    .filter(record -> complete(record, section))
                    .findFirst()
                    .orElseThrow());
  }

  private boolean complete(Class<?> record, String section) {
    return Component.of(record, section).stream()
        .allMatch(component -> given.value(component.path()).isPresent());
  }
}
