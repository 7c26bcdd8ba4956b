package dev.vard.spec;

import dev.vard.spec.Key.Absent;
import dev.vard.spec.ValueType.Choice;
import java.lang.reflect.Method;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Every key of a specification, as the {@link SpecKey}s of {@link RunSpec} and the records below it
 * say. {@code docs/specification.md} is held to this list by a test.
 */
final class Keys {
  /** The name of a key that says which of a section's records is meant. */
  static final String KIND = "kind";

  static final List<Key<?>> ALL = of(RunSpec.class, "");

  private static final Map<String, Key<?>> BY_PATH =
      ALL.stream().collect(Collectors.toUnmodifiableMap(Key::path, Function.identity()));

  private Keys() {}

  static Optional<Key<?>> find(String path) {
    return Optional.ofNullable(BY_PATH.get(path));
  }

  /**
   * @throws IllegalArgumentException if there is none
   */
  static Key<?> at(String path) {
    return find(path).orElseThrow(() -> new IllegalArgumentException("there is no key " + path));
  }

  /**
   * For rules that speak of a key.
   *
   * @throws IllegalArgumentException if there is none, or it takes something else
   */
  @SuppressWarnings("unchecked")
  static <T> Key<T> at(String path, Class<? extends ValueType<T>> type) {
    if (!type.isInstance(at(path).type())) {
      throw new IllegalArgumentException(path + " takes " + at(path).type());
    }
    return (Key<T>) at(path);
  }

  /**
   * @param type a record, or a family of records
   * @param section where its keys stand; empty for the root
   */
  static List<Key<?>> of(Class<?> type, String section) {
    return type.isSealed() ? ofKinds(type, section) : ofRecord(type, section);
  }

  private static List<Key<?>> ofRecord(Class<?> record, String section) {
    List<Key<?>> keys = new ArrayList<>();
    for (Component component : Component.of(record, section)) {
      if (component.isListOfSections()) {
        keys.addAll(ofList(component));
      } else if (component.isKey()) {
        component.keys().forEach(key -> keys.add(key(component, key)));
      } else {
        keys.addAll(of(component.of().getType(), component.path()));
      }
    }
    // A kind leads its section.
    String kind = Component.below(section, KIND);
    List<Key<?>> first = keys.stream().filter(key -> key.path().equals(kind)).toList();
    keys.removeAll(first);
    keys.addAll(0, first);
    return keys;
  }

  /** Those of a section that stands alone; the list before what belongs to other kinds. */
  private static List<Key<?>> ofList(Component component) {
    Class<?> item = (Class<?>) JavaTypes.argument(component.type());
    List<Key<?>> keys = of(item, component.sectionPath());
    Key<?> whole = key(component, component.keys().getLast());
    int place = 0;
    while (keys.get(place).only().isEmpty()) {
      place++;
    }
    keys.add(place, whole);
    return keys;
  }

  /** Those of all records of a family; what not all of them have belongs to their kinds. */
  private static List<Key<?>> ofKinds(Class<?> family, String section) {
    Optional<Method> kind =
        Arrays.stream(family.getMethods()).filter(it -> it.getName().equals(KIND)).findFirst();
    Map<String, List<String>> kinds = new HashMap<>();
    List<List<Key<?>>> each = new ArrayList<>();
    for (Class<?> record : family.getPermittedSubclasses()) {
      String name = kind.map(method -> name(method.getReturnType(), record)).orElse("");
      List<Key<?>> keys = new ArrayList<>(of(record, section));
      keys.removeIf(key -> key.only().isPresent() && !key.only().get().values().contains(name));
      keys.forEach(key -> kinds.computeIfAbsent(key.path(), none -> new ArrayList<>()).add(name));
      each.add(keys);
    }
    List<Key<?>> all = new ArrayList<>();
    String path = Component.below(section, KIND);
    for (Key<?> key : merged(each)) {
      List<String> names = kinds.getOrDefault(key.path(), List.of());
      boolean plain = kind.isEmpty() || names.size() == each.size() || key.only().isPresent();
      all.add(plain ? key : key.onlyWith(path, names));
    }
    kind.ifPresent(
        method ->
            all.addFirst(key(path, method.getReturnType(), method.getAnnotation(SpecKey.class))));
    return all;
  }

  private static String name(Class<?> kinds, Class<?> record) {
    return Choice.name((Enum<?>) Variant.of(kinds, record));
  }

  /** All keys, each once, in an order that agrees with that of every list. */
  private static List<Key<?>> merged(List<List<Key<?>>> lists) {
    List<Key<?>> merged = new ArrayList<>();
    List<List<Key<?>>> left = new ArrayList<>(lists);
    left.removeIf(List::isEmpty);
    while (!left.isEmpty()) {
      Key<?> next =
          left.stream()
              .map(List::getFirst)
              .filter(key -> left.stream().noneMatch(list -> place(key, list) > 0))
              .findFirst()
              .orElseThrow(() -> new IllegalStateException("records disagree on the keys' order"));
      merged.add(next);
      left.forEach(list -> list.removeIf(key -> key.path().equals(next.path())));
      left.removeIf(List::isEmpty);
    }
    return merged;
  }

  private static int place(Key<?> key, List<Key<?>> list) {
    return list.stream().map(Key::path).toList().indexOf(key.path());
  }

  private static Key<?> key(Component component, SpecKey said) {
    Key<?> key = key(component.path(said), component.type(), said);
    return said.kinds().length == 0
        ? key
        : key.onlyWith(Component.below(component.section(), KIND), List.of(said.kinds()));
  }

  private static Key<?> key(String path, Type type, SpecKey said) {
    return key(path, JavaTypes.taken(type, said), said);
  }

  private static <T> Key<T> key(String path, ValueType<T> type, SpecKey said) {
    Absent<T> absent =
        !said.byDefault().isEmpty()
            ? new Absent.Default<>(byDefault(type, said))
            : said.without().isEmpty()
                ? new Absent.Refused<>()
                : new Absent.Allowed<>(said.without());
    return new Key<>(path, type, absent, Optional.empty(), said.text());
  }

  private static <T> T byDefault(ValueType<T> type, SpecKey said) {
    Origin here = new Origin("the default", 0);
    try {
      return type.read(
          new TreeParser(here, new ArrayList<>()).parse(said.byDefault()).orElseThrow());
    } catch (ValueType.Mismatch e) {
      throw new IllegalStateException("the default of '" + said.text() + "' does not fit", e);
    }
  }
}
