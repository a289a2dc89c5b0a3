"""Renders a judged run: terminal, html, JUnit, Allure. Pure but for `write_allure`; depends on core alone."""
