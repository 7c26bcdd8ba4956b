package dev.vard.reward.kind;

import io.grpc.Attributes;
import io.grpc.EquivalentAddressGroup;
import io.grpc.NameResolver;
import io.grpc.Status;
import io.grpc.StatusOr;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executor;

/**
 * Tells gRPC the addresses of several endpoints. Each is spoken to under its own name, which is
 * what its certificate is checked against.
 */
final class EndpointsResolver extends NameResolver {
  private final List<String> endpoints;
  private final Executor executor;

  /** Of {@link #start}, which is called first. */
  @SuppressWarnings("NullAway.Init")
  private volatile Listener2 listener;

  /**
   * @param endpoints {@code host:port}
   * @param executor bears that DNS takes its time
   */
  EndpointsResolver(List<String> endpoints, Executor executor) {
    this.endpoints = endpoints;
    this.executor = executor;
  }

  @Override
  public String getServiceAuthority() {
    return endpoints.getFirst();
  }

  @Override
  public void start(Listener2 wanted) {
    listener = wanted;
    refresh();
  }

  /** gRPC asks for it when a connection is lost: a name may stand for another address now. */
  @Override
  public void refresh() {
    executor.execute(this::resolve);
  }

  @Override
  public void shutdown() {}

  private void resolve() {
    List<EquivalentAddressGroup> groups = new ArrayList<>();
    List<String> unknown = new ArrayList<>();
    for (String endpoint : endpoints) {
      Endpoint parsed = Endpoint.of(endpoint);
      Attributes attributes =
          Attributes.newBuilder()
              .set(EquivalentAddressGroup.ATTR_AUTHORITY_OVERRIDE, endpoint)
              .build();
      try {
        for (InetAddress address : InetAddress.getAllByName(parsed.host())) {
          groups.add(
              new EquivalentAddressGroup(
                  new InetSocketAddress(address, parsed.port()), attributes));
        }
      } catch (UnknownHostException e) {
        unknown.add(parsed.host());
      }
    }
    listener.onResult(
        ResolutionResult.newBuilder()
            .setAddressesOrError(
                groups.isEmpty()
                    ? StatusOr.fromStatus(
                        Status.UNAVAILABLE.withDescription("unknown hosts " + unknown))
                    : StatusOr.fromValue(groups))
            .build());
  }

  /** An IPv6 address stands in brackets. */
  record Endpoint(String host, int port) {
    /**
     * @throws IllegalArgumentException if there is no such port
     */
    Endpoint {
      if (port < 1 || port > 65_535) {
        throw new IllegalArgumentException("port " + port + " is not from 1 to 65535");
      }
    }

    static Endpoint of(String text) {
      int colon = text.lastIndexOf(':');
      return new Endpoint(
          text.substring(0, colon).replaceAll("[\\[\\]]", ""),
          Integer.parseInt(text.substring(colon + 1)));
    }
  }
}
