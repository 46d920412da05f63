/** The kinds of notes, as the server names them. */
export const kinds = {
  news: { name: "News", icon: "news" },
  event: { name: "Events", icon: "event" },
  lend: { name: "To lend", icon: "lend" },
  lost: { name: "Lost & found", icon: "lost" },
  ask: { name: "Asking", icon: "ask" },
};
