import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** The server that `npm run dev` passes API calls to. */
const upstream = process.env.MAINSPRING_URL ?? "http://127.0.0.1:8080";

const pass = {
  target: upstream,
  changeOrigin: true,
  // The server checks Origin against Host on loopback.
  headers: { origin: upstream },
};

export default defineConfig({
  base: "/ui/",
  plugins: [react()],
  build: {
    target: "es2022",
    // The policy of the server allows neither inline scripts nor data: addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: {
    proxy: { "/api": pass, "/ajax-api": pass, "/v2": pass, "/version": pass, "/get-artifact": pass, "/deployments": pass },
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/test-setup.ts"],
  },
});
