/* Swagger UI over our own description; it asks nobody outside. */
const place = document.getElementById("documentation");
window.ui = SwaggerUIBundle({ url: place.dataset.address, domNode: place, validatorUrl: null, deepLinking: true });
