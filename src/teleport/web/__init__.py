"""The web: pages for people, endpoints for programs."""

import mimetypes

# The media types of our few files are written beside them. The host's long list would be read, and kept, for nothing.
mimetypes.init(files=())
