package dev.vard.spec;

import dev.vard.spec.RewardSource.Onnx;
import dev.vard.spec.RewardSpec.Part;
import dev.vard.spec.ValueType.Choice;
import java.util.LinkedHashMap;
import java.util.List;
import org.snakeyaml.engine.v2.api.Dump;
import org.snakeyaml.engine.v2.api.DumpSettings;
import org.snakeyaml.engine.v2.common.FlowStyle;
import org.snakeyaml.engine.v2.schema.CoreSchema;

/**
 * Writes a specification out in full, with every default named: reading it gives the same
 * specification.
 */
public final class SpecWriter {
  private final Section root = new Section();

  /** Keys and sections, as they are written. */
  @SuppressWarnings("serial")
  private static final class Section extends LinkedHashMap<String, Object> {
    Section at(List<String> path) {
      Section section = this;
      for (String name : path) {
        section = (Section) section.computeIfAbsent(name, none -> new Section());
      }
      return section;
    }
  }

  private SpecWriter() {}

  /** YAML. */
  public static String write(RunSpec spec) {
    SpecWriter writer = new SpecWriter();
    writer.add(spec, "");
    if (spec.threads() == RunSpec.ANY_THREADS) {
      writer.remove(Keys.at("threads"));
    }
    DumpSettings settings =
        DumpSettings.builder()
            .setDefaultFlowStyle(FlowStyle.BLOCK)
            .setWidth(120)
            .setSchema(new CoreSchema())
            .build();
    return new Dump(settings).dumpToString(writer.root);
  }

  private void add(Record record, String section) {
    for (Component component : Component.of(record.getClass(), section)) {
      Object held = component.in(record);
      if (record instanceof RewardSpec reward && component.isListOfSections()) {
        addParts(reward);
      } else if (component.isKey()) {
        JavaTypes.value(held).ifPresent(value -> put(Keys.at(component.path()), value));
      } else {
        Keys.find(Component.below(component.path(), Keys.KIND))
            .filter(key -> component.of().getType().isSealed())
            .ifPresent(key -> addKind(key, held.getClass()));
        add((Record) held, component.path());
      }
    }
    if (record instanceof Onnx.Output output && output.className().isPresent()) {
      remove(RewardReading.INDEX);
    }
  }

  /** A kind leads its section. */
  private void addKind(Key<?> key, Class<?> record) {
    Enum<?> kind = Variant.of(((Choice<?>) key.type()).type(), record);
    above(key).putFirst(Keys.KIND, Choice.name(kind));
  }

  private void addParts(RewardSpec reward) {
    if (reward.isSum()) {
      addKind(RewardReading.KIND, RewardSpec.class);
      above(RewardReading.PARTS)
          .put(
              RewardReading.PARTS.segments().getLast(),
              reward.parts().stream().map(SpecWriter::part).toList());
    } else {
      add(reward.parts().getFirst(), Given.WHOLE);
      remove(RewardReading.NORMALISE);
    }
  }

  private static Section part(Part part) {
    SpecWriter writer = new SpecWriter();
    writer.add(part, Given.WHOLE);
    return writer.above(RewardReading.KIND);
  }

  /** Safe: what a component of a key holds is of the key's type. */
  @SuppressWarnings("unchecked")
  private <T> void put(Key<T> key, Object value) {
    boolean belongs =
        key.only()
            .map(only -> only.values().contains(above(Keys.at(only.path())).get(Keys.KIND)))
            .orElse(true);
    if (belongs) {
      above(key).put(key.segments().getLast(), key.type().write((T) value));
    }
  }

  private void remove(Key<?> key) {
    above(key).remove(key.segments().getLast());
  }

  private Section above(Key<?> key) {
    return root.at(key.segments().subList(0, key.segments().size() - 1));
  }
}
