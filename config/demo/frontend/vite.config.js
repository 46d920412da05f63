import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

// `npm run dev` serves the page itself; the application is that of a running appliance.
const appliance = "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [vue()],
  server: { proxy: { "/api": appliance, "/admin": appliance, "/static": appliance } },
});
