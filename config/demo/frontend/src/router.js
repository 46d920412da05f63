// The client-side routes. The server knows none of them: it answers each with index.html.

import { nextTick } from "vue";
import { createRouter, createWebHistory } from "vue-router";

import BoardView from "./views/BoardView.vue";

const routes = [
  { path: "/", component: BoardView, meta: { title: "Board" } },
  { path: "/notes/new", component: () => import("./views/ComposeView.vue"), meta: { title: "Pin a note" } },
  { path: "/notes/:id(\\d+)", component: () => import("./views/NoteView.vue"), props: true, meta: { title: "Note" } },
  { path: "/shelf", component: () => import("./views/ShelfView.vue"), meta: { title: "Shelf" } },
  { path: "/checkup", component: () => import("./views/CheckupView.vue"), meta: { title: "Check-up" } },
  { path: "/engine", component: () => import("./views/EngineView.vue"), meta: { title: "Engine room" } },
  { path: "/:rest(.*)*", component: () => import("./views/MissingView.vue"), meta: { title: "Not found" } },
];

export const router = createRouter({
  history: createWebHistory(),
  routes,
  scrollBehavior: (to, from, saved) => saved ?? { top: 0 },
});

// A screen reader hears the new page only when something in it gets the focus.
router.afterEach(async (to, from) => {
  document.title = `${to.meta.title} · Lantern Lane`;
  if (from.matched.length === 0) return;
  await nextTick();
  document.querySelector("main")?.focus({ preventScroll: true });
});
