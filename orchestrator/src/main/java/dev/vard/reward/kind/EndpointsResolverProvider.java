package dev.vard.reward.kind;

import io.grpc.NameResolver;
import io.grpc.NameResolverProvider;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Lets a gRPC channel have several endpoints: {@code vard-endpoints:///host:port,host:port}. gRPC
 * finds it as a service.
 */
public final class EndpointsResolverProvider extends NameResolverProvider {
  private static final String SCHEME = "vard-endpoints";

  /** Below that of gRPC's own, so that it is nobody's default. */
  private static final int PRIORITY = 4;

  /** The target that names these endpoints. */
  static String target(List<String> endpoints) {
    try {
      return new URI(SCHEME, "", "/" + String.join(",", endpoints), null).toString();
    } catch (URISyntaxException e) {
      throw new IllegalArgumentException(endpoints + " are no endpoints", e);
    }
  }

  @Override
  public String getDefaultScheme() {
    return SCHEME;
  }

  @Override
  public @Nullable NameResolver newNameResolver(URI target, NameResolver.Args arguments) {
    return target.getScheme().equals(SCHEME)
        ? new EndpointsResolver(
            List.of(target.getPath().substring(1).split(",")), arguments.getOffloadExecutor())
        : null;
  }

  @Override
  protected boolean isAvailable() {
    return true;
  }

  @Override
  protected int priority() {
    return PRIORITY;
  }
}
