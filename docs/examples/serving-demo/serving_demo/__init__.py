"""A demonstration: a model is trained, judged, signed, published and served; then a bad version is, twice."""
