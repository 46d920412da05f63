import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='File',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=200)),
                ('content', models.FileField(max_length=200, upload_to='')),
                ('size', models.PositiveBigIntegerField()),
                ('sha256', models.CharField(max_length=64)),
                ('created', models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
            ],
            options={
                'ordering': ['-created', '-id'],
            },
        ),
        migrations.CreateModel(
            name='Note',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('news', 'News'), ('event', 'Event'), ('lend', 'To lend'), ('lost', 'Lost & found'), ('ask', 'Asking')], default='news', max_length=8)),
                ('title', models.CharField(max_length=80)),
                ('body', models.TextField(max_length=4000)),
                ('author', models.CharField(max_length=40)),
                ('created', models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ('thanks', models.PositiveIntegerField(default=0)),
            ],
            options={
                'ordering': ['-created', '-id'],
            },
        ),
    ]
