"""One view, one query."""

from django.http import JsonResponse
from django.urls import path

from shop.models import Item


def item(request, pk):
    found = Item.objects.get(pk=pk)
    return JsonResponse({"id": found.pk, "name": found.name, "price": str(found.price)})


urlpatterns = [path("wsgi/item/<int:pk>", item)]
