package dev.vard.spec;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.spec.ValueType.Choice;
import dev.vard.spec.ValueType.Decimal;
import dev.vard.spec.ValueType.Text;
import dev.vard.spec.ValueType.Whole;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

/** What records say of keys. */
class KeysTest {
  record Plain(
      @SpecKey(text = "So many.", in = "[1, 9]", byDefault = "3") int soMany,
      @SpecKey(text = "A share.", name = "part", in = "(0, 1]", without = "all") double share,
      @SpecKey(text = "A word.", pattern = "a+", form = "letters a") String word,
      Inner inner,
      @SpecSection("elsewhere") Inner other) {}

  record Inner(@SpecKey(text = "A side.", in = "[0, ∞)", without = "any") OptionalInt side) {}

  sealed interface Shape {
    @SpecKey(text = "Which.")
    default Kind kind() {
      return Variant.of(Kind.class, getClass());
    }

    @SpecKey(text = "Its size.", in = "[0, ∞)")
    int size();
  }

  interface Round {
    @SpecKey(text = "Its radius.", in = "(0, ∞)")
    double radius();
  }

  record Circle(int size, double radius) implements Shape, Round {}

  record Ring(int size, @SpecKey(text = "Its hole.") double hole, double radius)
      implements Shape, Round {}

  record Square(int size, @SpecKey(text = "Its side.") double side) implements Shape {}

  enum Kind implements Variant {
    CIRCLE(Circle.class),
    RING(Ring.class),
    SQUARE(Square.class);

    private final Class<? extends Record> type;

    Kind(Class<? extends Record> type) {
      this.type = type;
    }

    @Override
    public Class<? extends Record> type() {
      return type;
    }
  }

  record Misfit(@SpecKey(text = "Few.", in = "[1, 9]", byDefault = "10") int few) {}

  @Test
  void shouldReadNamesBoundsAndDefaultsOffARecord() {
    List<Key<?>> keys = Keys.of(Plain.class, "a");

    assertThat(keys)
        .extracting(Key::path)
        .containsExactly("a.so-many", "a.part", "a.word", "a.inner.side", "elsewhere.side");
    assertThat(keys.get(0).type()).isEqualTo(new Whole(1, 9));
    assertThat(keys.get(0).absent()).isEqualTo(new Key.Absent.Default<>(3L));
    assertThat(keys.get(1).type()).isEqualTo(new Decimal(0, true, 1));
    assertThat(keys.get(1).absent()).isEqualTo(new Key.Absent.Allowed<>("all"));
    assertThat(keys.get(2).type()).isInstanceOf(Text.class);
    assertThat(keys.get(2).absent()).isEqualTo(new Key.Absent.Refused<>());
    assertThat(keys.get(3).type()).isEqualTo(new Whole(0, Long.MAX_VALUE));
  }

  @Test
  void shouldKeepEveryKindsOrderAndSayWhichKeysBelongToWhich() {
    List<Key<?>> keys = Keys.of(Shape.class, "shape");

    assertThat(keys.getFirst().type()).isEqualTo(new Choice<>(Kind.class));
    assertThat(keys)
        .extracting(key -> key.path() + key.only().map(only -> " of " + only).orElse(""))
        .containsExactly(
            "shape.kind",
            "shape.size",
            "shape.hole of shape.kind: ring",
            "shape.radius of shape.kind: circle or ring",
            "shape.side of shape.kind: square");
  }

  @Test
  void shouldRefuseADefaultThatDoesNotFit() {
    assertThatThrownBy(() -> Keys.of(Misfit.class, ""))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("the default of 'Few.' does not fit");
  }

  @Test
  void shouldKnowNoKeyThatIsNot() {
    assertThatThrownBy(() -> Keys.at("sampler.stepz")).hasMessage("there is no key sampler.stepz");
    assertThatThrownBy(() -> Keys.at("sampler.steps", Text.class))
        .hasMessageStartingWith("sampler.steps takes Whole");
  }
}
