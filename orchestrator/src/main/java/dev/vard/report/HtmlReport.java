package dev.vard.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.datatype.jdk8.Jdk8Module;
import dev.vard.files.PrivateFiles;
import dev.vard.report.ReportException.Code;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.ToDoubleFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;

/**
 * Writes a run's {@code report.html}: one page that needs nothing else, neither network nor files
 * beside it.
 *
 * <p>A run that was interrupted, has no value function or was never evaluated gets a page of what
 * there is.
 */
public final class HtmlReport {
  private static final String UPLOT = "/META-INF/resources/webjars/uplot/1.6.30/dist/";
  private static final String LORA = "pytorch_lora_weights.safetensors";
  private static final Pattern PLACE = Pattern.compile("\\{\\{([a-z-]+)}}");

  private final ObjectMapper mapper =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .addModule(new Jdk8Module())
          .build();

  /**
   * @param runFolder a folder that a run has written, or writes still
   * @return the page, {@code report.html} in that folder
   * @throws ReportException if there is no run in the folder, or files cannot be read or written
   */
  public Path write(Path runFolder) {
    Map<String, String> parts =
        Map.of(
            "style", resource("/report/report.css"),
            "uplot-style", resource(UPLOT + "uPlot.min.css"),
            "uplot", resource(UPLOT + "uPlot.iife.min.js"),
            "script", resource("/report/report.js"),
            "data", data(runFolder));
    // In one pass: what is put in may itself look like a place, and must stay as it is.
    String page =
        PLACE
            .matcher(resource("/report/report.html"))
            .replaceAll(place -> Matcher.quoteReplacement(parts.get(place.group(1))));
    Path report = runFolder.resolve("report.html");
    Path beside = runFolder.resolve("report.html.part");
    try {
      PrivateFiles.write(beside, page);
      Files.move(
          beside, report, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new ReportException(Code.STORAGE, report + " cannot be written: " + e, e);
    }
    return report;
  }

  /** JSON that may stand in a script element: no markup can begin in it. */
  private String data(Path folder) {
    Metrics metrics = Metrics.read(folder.resolve("metrics.jsonl"));
    String text = specification(folder);
    JsonNode spec = parse(text);
    Pictures pictures = Pictures.read(folder, metrics.evaluations());

    ObjectNode data = mapper.createObjectNode();
    data.set("started", metrics.started());
    data.set("evaluations", mapper.valueToTree(withoutImages(metrics.evaluations())));
    data.set("iterations", mapper.valueToTree(metrics.iterations()));
    data.set("warnings", mapper.valueToTree(metrics.warnings()));
    data.set("ending", mapper.valueToTree(metrics.ending()));
    data.set("comparison", mapper.valueToTree(Comparison.of(metrics)));
    data.set("pictures", mapper.valueToTree(pictures));
    data.put("reward_queries", last(metrics.iterations()).path("reward_queries").asInt());
    data.put(
        "evaluation_queries",
        metrics.evaluations().stream().mapToInt(event -> event.path("rewards").size()).sum());
    data.set("kl_per_trajectory", kl(metrics));
    data.put("total_seconds", seconds(metrics));
    data.set("reward", spec.at("/reward/kind"));
    data.put("specification", text);
    if (Files.exists(folder.resolve("export").resolve(LORA))) {
      data.put("export", folder.resolve("export").resolve(LORA).toString());
      snippet(folder, spec, pictures).ifPresent(code -> data.put("snippet", code));
    }
    try {
      return mapper.writeValueAsString(data).replace("<", "\\u003c");
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("the report's data is no JSON", e);
    }
  }

  /** The pairs hold what the page needs of each image. */
  private static List<JsonNode> withoutImages(List<JsonNode> evaluations) {
    return evaluations.stream()
        .<JsonNode>map(event -> ((ObjectNode) event.deepCopy()).without(List.of("rewards", "kls")))
        .toList();
  }

  /** Measured on the last evaluation; where there is none, the policy phase's own estimate. */
  private static JsonNode kl(Metrics metrics) {
    if (metrics.evaluations().size() > 1) {
      return last(metrics.evaluations()).path("kl_per_trajectory");
    }
    return last(metrics.iterations()).at("/policy/kl_per_trajectory");
  }

  private static double seconds(Metrics metrics) {
    ToDoubleFunction<JsonNode> evaluation =
        event -> event.at("/seconds/sample").asDouble() + event.at("/seconds/score").asDouble();
    double recorded =
        metrics.iterations().stream()
                .mapToDouble(event -> event.at("/seconds/total").asDouble())
                .sum()
            + metrics.evaluations().stream().mapToDouble(evaluation).sum();
    return metrics
        .ending()
        .map(event -> event.at("/seconds/total"))
        .filter(JsonNode::isNumber)
        .map(JsonNode::asDouble)
        .orElse(recorded);
  }

  private static JsonNode last(List<JsonNode> events) {
    return events.isEmpty() ? MissingNode.getInstance() : events.getLast();
  }

  private static String specification(Path folder) {
    for (String name : List.of("spec.resolved.yaml", "spec.yaml")) {
      Path file = folder.resolve(name);
      if (Files.exists(file)) {
        try {
          return Files.readString(file);
        } catch (IOException e) {
          throw new ReportException(Code.STORAGE, file + " cannot be read: " + e, e);
        }
      }
    }
    return "";
  }

  /** The page shows a specification's text also where it cannot be parsed. */
  private JsonNode parse(String specification) {
    try {
      // Read at once: the reader stumbles over an emoji that lies across two of its buffers.
      LoadSettings settings =
          LoadSettings.builder().setBufferSize(specification.length() + 1).build();
      Object tree = new Load(settings).loadFromString(specification);
      return tree == null ? MissingNode.getInstance() : mapper.valueToTree(tree);
    } catch (YamlEngineException e) {
      return MissingNode.getInstance();
    }
  }

  /**
   * Draws the evaluation's first image anew. Empty for unconditional models, whose pipeline loads
   * no LoRA by itself.
   */
  private Optional<String> snippet(Path folder, JsonNode spec, Pictures pictures) {
    String checkpoint = spec.at("/model/checkpoint").asText();
    if (checkpoint.isEmpty()
        || pictures.pairs().stream().allMatch(pair -> pair.prompt().isEmpty())) {
      return Optional.empty();
    }
    Pictures.Pair first = pictures.pairs().getFirst();
    boolean ddpm = spec.at("/sampler/kind").asText().equals("ddpm");
    String revision = spec.at("/model/revision").asText();
    String bfloat16 =
        spec.at("/model/dtype").asText().equals("bfloat16") ? ", torch_dtype=torch.bfloat16" : "";
    return Optional.of(
        """
        import torch
        from diffusers import %1$s, StableDiffusionPipeline

        pipe = StableDiffusionPipeline.from_pretrained(
            %2$s%3$s)
        pipe.scheduler = %1$s.from_config(
            pipe.scheduler.config, clip_sample=False)
        pipe.load_lora_weights(
            %4$s)
        image = pipe(
            %5$s,
            num_inference_steps=%6$s, guidance_scale=%7$s%8$s,
            generator=torch.Generator("cpu").manual_seed(%9$s),
        ).images[0]
        """
            .formatted(
                ddpm ? "DDPMScheduler" : "DDIMScheduler",
                quoted(checkpoint),
                (revision.isEmpty() ? "" : ", revision=" + quoted(revision)) + bfloat16,
                quoted(folder.resolve("export").toString()),
                quoted(first.prompt()),
                spec.at("/sampler/steps").asText(),
                spec.at("/sampler/guidance").asText(),
                ddpm ? "" : ", eta=" + spec.at("/sampler/eta").asText(),
                first.seed()));
  }

  /** A string of JSON is one of Python, too. */
  private String quoted(String text) {
    return mapper.valueToTree(text).toString();
  }

  private static String resource(String name) {
    try (InputStream in = HtmlReport.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalStateException("the program lacks its resource " + name);
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new ReportException(Code.STORAGE, "the resource " + name + " cannot be read: " + e, e);
    }
  }
}
