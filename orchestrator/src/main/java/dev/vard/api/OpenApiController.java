package dev.vard.api;

import io.micronaut.context.annotation.Requires;
import io.micronaut.core.io.ResourceLoader;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Get;
import io.swagger.v3.oas.annotations.Hidden;
import io.swagger.v3.oas.annotations.OpenAPIDefinition;
import io.swagger.v3.oas.annotations.enums.SecuritySchemeType;
import io.swagger.v3.oas.annotations.info.Info;
import io.swagger.v3.oas.annotations.security.SecurityRequirement;
import io.swagger.v3.oas.annotations.security.SecurityScheme;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;

/** The description of the REST API, which the compiler makes of {@link RunsController}. */
@OpenAPIDefinition(
    info =
        @Info(
            title = "vard",
            version = "1",
            description =
                "Fine-tunes diffusion models on black-box rewards. The same as the gRPC service"
                    + " `vard.v1.RunService`."),
    security = @SecurityRequirement(name = "token"))
@SecurityScheme(
    name = "token",
    type = SecuritySchemeType.HTTP,
    scheme = "bearer",
    description =
        "Not needed with a client certificate, nor on loopback where no tokens are set up.")
@Hidden
@Controller
@Requires(property = ApiProperties.ENABLED)
final class OpenApiController {
  private final byte[] document;

  OpenApiController(ResourceLoader resources) {
    try (InputStream in =
        resources.getResourceAsStream("META-INF/swagger/vard.yml").orElseThrow()) {
      document = in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Get("/openapi.yaml")
  HttpResponse<byte[]> document() {
    return HttpResponse.ok(document).contentType("application/yaml");
  }
}
