package dev.vard.spec;

import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * A component of a specification's record: it holds the value of a key, or a section of keys.
 *
 * @param section where the record's own keys stand
 * @param keys none where it holds a section; of several, it holds the last one's value
 */
record Component(RecordComponent of, String section, List<SpecKey> keys) {

  /** All of a record. */
  static List<Component> of(Class<?> record, String section) {
    return Arrays.stream(record.getRecordComponents())
        .map(component -> new Component(component, section, keys(component)))
        .toList();
  }

  private static List<SpecKey> keys(RecordComponent component) {
    SpecKey[] own = component.getAnnotationsByType(SpecKey.class);
    return own.length > 0
        ? List.of(own)
        : Arrays.stream(component.getDeclaringRecord().getInterfaces())
            .flatMap(shared -> Arrays.stream(shared.getMethods()))
            .filter(method -> method.getName().equals(component.getName()))
            .flatMap(method -> Arrays.stream(method.getAnnotationsByType(SpecKey.class)))
            .toList();
  }

  boolean isKey() {
    return !keys.isEmpty();
  }

  /** Whether it is a list of sections of which a single one may stand without the list. */
  boolean isListOfSections() {
    return isKey() && of.isAnnotationPresent(SpecSection.class);
  }

  /** Of the key whose value it holds, or of the section. */
  String path() {
    return isKey() ? path(keys.getLast()) : sectionPath();
  }

  String path(SpecKey key) {
    return below(section, key.name().isEmpty() ? kebab(of.getName()) : key.name());
  }

  String sectionPath() {
    return Optional.ofNullable(of.getAnnotation(SpecSection.class))
        .map(SpecSection::value)
        .orElseGet(() -> below(section, kebab(of.getName())));
  }

  Type type() {
    return of.getGenericType();
  }

  /** What it holds in a record. */
  Object in(Record record) {
    try {
      return of.getAccessor().invoke(record);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(of + " cannot be read", e);
    }
  }

  /**
   * @param section empty for the root
   */
  static String below(String section, String name) {
    return section.isEmpty() ? name : section + "." + name;
  }

  private static String kebab(String name) {
    return name.replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT);
  }
}
