"""The drift watch: whether what a served model is asked, and what it answers, is still like what it was judged on."""
