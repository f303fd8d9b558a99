"""The one door to names that ComfyUI does not document; tests/test_host_contract.py binds each of them."""
