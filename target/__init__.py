"""The deployment under watch: reach it, ask its health, see its containers, know its versions."""
