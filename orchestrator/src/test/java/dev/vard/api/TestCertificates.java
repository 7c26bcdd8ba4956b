package dev.vard.api;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** An authority of its own, and certificates that it signed, made by the JDK's keytool. */
public final class TestCertificates {
  private static final String AUTHORITY = "authority";
  private static final char[] PASSWORD = "changeit".toCharArray();

  private final Path folder;

  /** Makes the authority. */
  public TestCertificates(Path folder) throws Exception {
    this.folder = folder;
    keytool("-alias", AUTHORITY, "-dname", "CN=authority", "-ext", "bc:c");
    Files.writeString(
        authority(), pem("CERTIFICATE", load().getCertificate(AUTHORITY).getEncoded()));
  }

  public Path authority() {
    return folder.resolve("authority.pem");
  }

  /** What a certificate's file is called. */
  static String file(String name, String suffix) {
    return name.replaceAll("\\W", "-") + suffix;
  }

  /**
   * @param suffix {@code .crt} or {@code .key}
   */
  public Path certificate(String name, String suffix) {
    return folder.resolve(file(name, suffix));
  }

  /**
   * Makes a certificate for the loopback address.
   *
   * @param name its common name too
   */
  public void make(String name) throws Exception {
    keytool(
        "-alias",
        name,
        "-dname",
        "CN=" + name,
        "-signer",
        AUTHORITY,
        "-ext",
        "san=ip:127.0.0.1,dns:localhost");
    KeyStore store = load();
    Files.writeString(
        folder.resolve(file(name, ".crt")),
        pem("CERTIFICATE", store.getCertificate(name).getEncoded()));
    Files.writeString(
        folder.resolve(file(name, ".key")),
        pem("PRIVATE KEY", store.getKey(name, PASSWORD).getEncoded()));
  }

  /** Trusts the authority. */
  SSLContext trusting() throws Exception {
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust().getTrustManagers(), null);
    return context;
  }

  /** Trusts the authority, and shows a certificate. */
  public SSLContext showing(String name) throws Exception {
    KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    store.setKeyEntry(
        name, load().getKey(name, PASSWORD), PASSWORD, load().getCertificateChain(name));
    keys.init(store, PASSWORD);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(keys.getKeyManagers(), trust().getTrustManagers(), null);
    return context;
  }

  private TrustManagerFactory trust() throws GeneralSecurityException, IOException {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    store.setCertificateEntry(AUTHORITY, load().getCertificate(AUTHORITY));
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    return trust;
  }

  private KeyStore load() throws GeneralSecurityException, IOException {
    KeyStore store = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(store())) {
      store.load(in, PASSWORD);
    }
    return store;
  }

  private Path store() {
    return folder.resolve("store.p12");
  }

  private void keytool(String... arguments) throws Exception {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "keytool").toString());
    command.addAll(List.of("-genkeypair", "-keyalg", "EC", "-validity", "2"));
    command.addAll(List.of("-storetype", "PKCS12", "-storepass", new String(PASSWORD)));
    command.addAll(List.of("-keystore", store().toString()));
    command.addAll(List.of(arguments));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IllegalStateException(String.join(" ", command) + ": " + said);
    }
  }

  private static String pem(String what, byte[] der) {
    String body = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der);
    return "-----BEGIN %s-----\n%s\n-----END %s-----\n".formatted(what, body, what);
  }
}
