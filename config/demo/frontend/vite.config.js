import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [vue()],
  // `npm run dev` serves the page itself; the application comes from a running appliance.
  server: { proxy: { "/api": "http://127.0.0.1:8080", "/admin": "http://127.0.0.1:8080", "/static": "http://127.0.0.1:8080" } },
});
