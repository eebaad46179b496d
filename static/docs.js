// Shows the OpenAPI document, in the system's color scheme.

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  // The validator is an external service.
  validatorUrl: null,
  // Collapse the schemas.
  defaultModelsExpandDepth: 0,
});
