// Shows the API's description, in the light or the dark as the system has it.

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  // It would ask a service elsewhere.
  validatorUrl: null,
  // One reads more than one tries.
  defaultModelsExpandDepth: 0,
});
