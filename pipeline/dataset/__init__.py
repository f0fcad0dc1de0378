"""From sessions to training examples: conversion, checks, token counts."""
